"""A request as a handler sees it."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote_to_bytes

from kobako.errors import Invalid
from kobako.http.headers import Headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.http.body import Body


class Request:
    """One request.

    `path` is decoded once and never holds control characters; `target` is as sent. `params` are
    the names a `Router` pattern matched. `peer` is the client's address ("" on a Unix socket).
    `scheme` is "http": a proxy in front that ends TLS says otherwise in X-Forwarded-Proto.
    """

    __slots__ = ("body", "headers", "http11", "method", "params", "path", "peer", "query", "target")

    def __init__(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: Body,
        *,
        peer: str = "",
        http11: bool = True,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.peer = peer
        self.http11 = http11
        self.params: dict[str, str] = {}
        self.path, self.query = _split_target(target)

    def argument(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def __repr__(self) -> str:
        return f"Request({self.method} {self.target})"


def _split_target(target: str) -> tuple[str, dict[str, list[str]]]:
    if target.startswith(("http://", "https://")):  # absolute-form, RFC 9112 section 3.2.2
        _, _, rest = target.partition("://")
        _, slash, rest = rest.partition("/")
        target = slash + rest or "/"
    raw, _, query_text = target.partition("?")
    try:
        path = unquote_to_bytes(raw).decode("utf-8")
        pairs = parse_qsl(query_text, keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError as error:
        raise Invalid(f"the request target is malformed: {error}") from error
    if not path.startswith("/") and path != "*":
        raise Invalid("the request target is not a path")
    if any(character < " " or character == "\x7f" for character in path):
        raise Invalid("the request path holds control characters")
    query: dict[str, list[str]] = {}
    for name, value in pairs:
        query.setdefault(name, []).append(value)
    return path, query
