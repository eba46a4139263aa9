"""What the hub refuses, in the words of the specification (distribution-spec, "Error Codes")."""

from __future__ import annotations

from kobako.errors import KobakoError
from kobako.http import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.http import Request


class Refusal(KobakoError):
    """An error answer: a status, a code of the specification, a message and a detail."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        detail: Any = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.http_status = status
        self.code = code
        self.detail = detail
        self.headers = headers


_CODES = {
    400: "UNSUPPORTED",
    401: "UNAUTHORIZED",
    403: "DENIED",
    404: "NAME_UNKNOWN",
    405: "UNSUPPORTED",
    413: "SIZE_INVALID",
    414: "NAME_INVALID",
    416: "BLOB_UPLOAD_INVALID",
    429: "TOOMANYREQUESTS",
    501: "UNSUPPORTED",
}
API_VERSION = ("Docker-Distribution-API-Version", "registry/2.0")


def render(error: KobakoError) -> Response:
    """The JSON body every client of a registry knows how to show."""
    code = error.code if isinstance(error, Refusal) else _CODES.get(error.http_status, "UNKNOWN")
    entry: dict[str, Any] = {"code": code, "message": error.message}
    headers: tuple[tuple[str, str], ...] = (API_VERSION,)
    if isinstance(error, Refusal):
        headers += error.headers
        if error.detail is not None:
            entry["detail"] = error.detail
    return Response.json(error.http_status, {"errors": [entry]}, headers)


def not_found(request: Request) -> Response:
    """For paths that are no part of the API."""
    return render(Refusal(404, "UNSUPPORTED", "no such page"))


def not_allowed(request: Request, allow: str) -> Response:
    """For methods a path does not have."""
    message = f"{request.method} is not allowed on this path"
    return render(Refusal(405, "UNSUPPORTED", message, headers=(("Allow", allow),)))
