"""Whatever a server or the network does wrong, as one of kobako's errors, in docker's words."""

from __future__ import annotations

from kobako.errors import (
    Conflict,
    Denied,
    Invalid,
    KobakoError,
    NotFound,
    Unauthorized,
    Unavailable,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ERROR_BODY = 64 << 10
_MAX_SHOWN = 400
_RETRIED = (408, 425, 429, 500, 502, 503, 504)


class Transient(Unavailable):
    """A failure that trying again may cure; `retry_after` is what the server asked for (s)."""

    def __init__(self, message: str, *, hint: str = "", retry_after: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Busy(Transient):
    """The server answered, but asks to come again later (5xx, 429)."""


class Unreachable(Transient):
    """No connection at all came about."""


class NotTLS(Unavailable):
    """A server spoke plain HTTP where TLS was expected, or the other way round."""


class Cancelled(Exception):
    """The transfer was abandoned because another part of it failed; never seen outside."""


class Answer:
    """A response that was not the one hoped for: status, headers, and the start of its body."""

    __slots__ = ("body", "headers", "status", "url")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, url: str) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.url = url

    def code(self) -> str:
        """The first error code of the distribution specification's error document, or ""."""
        errors = self._errors()
        return errors[0][0] if errors else ""

    def said(self) -> str:
        """What the server said, as docker shows it: `code in words: message`."""
        parts = []
        for code, message in self._errors():
            words = code.lower().replace("_", " ")
            parts.append(f"{words}: {message}" if message else words)
        return shown("; ".join(parts))

    def _errors(self) -> list[tuple[str, str]]:
        from kobako import fastjson

        try:
            document = fastjson.loads(self.body)
        except ValueError:
            return []
        errors = document.get("errors") if isinstance(document, dict) else None
        found = []
        for error in errors if isinstance(errors, list) else []:
            if isinstance(error, dict) and isinstance(error.get("code"), str):
                message = error.get("message")
                found.append((error["code"], message if isinstance(message, str) else ""))
        return found[:5]


def shown(text: str) -> str:
    """A stranger's text, fit for a terminal: one line, no control characters, not too long."""
    clean = "".join(c if c.isprintable() else " " for c in text[: _MAX_SHOWN + 1])
    return clean if len(clean) <= _MAX_SHOWN else clean[: _MAX_SHOWN - 3] + "..."


def shown_url(url: str) -> str:
    """A URL without user, password and query, which may hold signatures and tokens."""
    plain = url.partition("?")[0].partition("#")[0]
    scheme, separator, rest = plain.partition("://")
    authority, slash, path = rest.partition("/")
    return shown(scheme + separator + authority.rpartition("@")[2] + slash + path)


def retry_after(headers: Mapping[str, str]) -> float:
    """The pause a server asks for in seconds; dates and nonsense count as nothing."""
    text = headers.get("Retry-After", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0.0


def of_answer(answer: Answer, what: str) -> KobakoError:
    """The error for an answer; `what` names the operation and its object."""
    said, status = answer.said(), answer.status
    if status in _RETRIED:
        text = said or f"status {status}"
        if status == 429:
            text = f"toomanyrequests: {said or 'the registry limits the rate of requests'}"
        return Busy(f"{what}: {text}", retry_after=retry_after(answer.headers))
    if status == 401:
        return Unauthorized(f"{what}: {said or 'unauthorized: authentication required'}")
    if status == 403:
        return Denied(f"{what}: {said or 'denied: requested access to the resource is denied'}")
    if status in (404, 410):
        return NotFound(f"{what}: {said or 'not found'}")
    if status == 409:
        return Conflict(f"{what}: {said or 'conflict'}")
    if status in (400, 413, 415, 416, 422):
        return Invalid(f"{what}: {said or f'the registry refuses it with status {status}'}")
    if status == 405:
        return Denied(f"{what}: {said or 'the registry does not allow this operation'}")
    return Unavailable(
        f"{what}: {said or f'unexpected status {status} from {shown_url(answer.url)}'}"
    )


def of_exception(fault: Exception, url: str, *, proxied: str = "") -> KobakoError:
    """The error for what urllib3, ssl, http.client or the socket raised about `url`."""
    import socket
    import ssl

    from urllib3 import exceptions

    where = _address(url)
    for cause in _causes(fault):
        if isinstance(cause, ConnectionRefusedError):
            return Unreachable(
                f"dial tcp {where}: connect: connection refused",
                hint=_running_hint(proxied, where),
            )
        if isinstance(cause, socket.gaierror):
            host = where.rpartition(":")[0]
            return Unreachable(
                f"dial tcp: lookup {host}: {cause.strerror or 'no such host'}",
                hint="check the registry's name and this machine's network"
                + (f" (proxy {shown_url(proxied)})" if proxied else ""),
            )
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Unavailable(
                f"{where}: tls: failed to verify certificate: {shown(cause.verify_message)}",
                hint=f'name its authority: [registries."{where}"] ca = "..." in config.toml, '
                f"or put it into /etc/docker/certs.d/{where.removesuffix(':443')}/ca.crt",
            )
        if isinstance(cause, ssl.SSLError):
            reason = cause.reason or ""
            if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
                return NotTLS(
                    f"{shown_url(url)}: server gave HTTP response to HTTPS client",
                    hint=f'allow plain HTTP: [registries."{where}"] insecure = true in config.toml',
                )
            return Transient(f"{where}: tls: {shown(reason or str(cause))}")
    for cause in _causes(fault):
        if isinstance(cause, exceptions.ConnectTimeoutError):
            return Unreachable(f"dial tcp {where}: i/o timeout", hint=_running_hint(proxied, where))
        if isinstance(cause, (exceptions.ReadTimeoutError, TimeoutError)):
            return Transient(f"{where}: timeout while waiting for the registry's answer")
        if isinstance(cause, OSError) and cause.strerror:
            return Transient(f"{where}: {cause.strerror.lower()}")
    return Transient(f"{where}: malformed or broken answer: {shown(str(_causes(fault)[-1]))}")


def _running_hint(proxied: str, where: str) -> str:
    if proxied:
        return f"requests go through the proxy {shown_url(proxied)}: is it running?"
    return f"is a registry running at {where}, and is that the right port?"


def _causes(fault: BaseException) -> list[BaseException]:
    """The fault and what it wraps, the outermost first."""
    found: list[BaseException] = []
    pending: list[object] = [fault]
    while pending and len(found) < 16:
        item = pending.pop()
        if not isinstance(item, BaseException) or any(item is f for f in found):
            continue
        found.append(item)
        pending += [item.__context__, item.__cause__, getattr(item, "original_error", None)]
        pending += [getattr(item, "reason", None), *item.args]
    return found


def _address(url: str) -> str:
    """`host:port` of a URL."""
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0].partition("?")[0].rpartition("@")[2]
    if authority.endswith("]") or ":" not in authority:
        return f"{authority}:{443 if scheme == 'https' else 80}"
    return authority
