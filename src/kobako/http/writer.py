"""Puts a response on the wire (RFC 9112 sections 4 to 7)."""

from __future__ import annotations

import time

from kobako.errors import Invalid
from kobako.http.response import FileBody, Response, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kobako.http.response import Fields
    from kobako.http.wire import Wire

_FRAMING = frozenset(("content-length", "transfer-encoding", "connection", "date"))
_NO_BODY = frozenset((204, 304))
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec").split()


def http_date(seconds: float) -> str:
    """An IMF-fixdate, as `Date` and `Last-Modified` have it."""
    t = time.gmtime(seconds)
    day, month = _DAYS[t.tm_wday], _MONTHS[t.tm_mon - 1]
    return (
        f"{day}, {t.tm_mday:02} {month} {t.tm_year} {t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT"
    )


def head_bytes(status: int, fields: Iterable[tuple[str, str]]) -> bytes:
    """Status line and fields; `Invalid` for a field that would break out of its line."""
    lines = [f"HTTP/1.1 {status} {reason(status)}"]
    for name, value in fields:
        if "\r" in value or "\n" in value or "\0" in value:
            raise Invalid(f"the response field {name} holds a line break")
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


class ResponseWriter:
    """Sends one response; `persistent` says whether the connection survives it."""

    def __init__(self, wire: Wire, *, idle: float, head_only: bool, http11: bool) -> None:
        self._wire = wire
        self._idle = idle
        self._head_only = head_only
        self._http11 = http11

    def send(self, response: Response, persistent: bool) -> bool:
        """Send it all and release what it holds; the return says whether to keep the connection."""
        body = response.body
        try:
            return self._send(response, body, persistent)
        finally:
            if isinstance(body, FileBody):
                body.file.close()
            elif not isinstance(body, bytes):
                close = getattr(body, "close", None)
                if close is not None:
                    close()

    def _send(
        self, response: Response, body: bytes | FileBody | Iterable[bytes], persistent: bool
    ) -> bool:
        announced = _announced_length(response.headers)
        if response.status in _NO_BODY:
            self._wire.send(self._head(response, (), persistent), self._idle)
            return persistent
        if isinstance(body, (bytes, FileBody)):
            size = body.size if isinstance(body, FileBody) else len(body)
            if self._head_only and announced is not None and not size:
                size = announced
            head = self._head(response, (("Content-Length", str(size)),), persistent)
            if self._head_only:
                self._wire.send(head, self._idle)
            elif isinstance(body, bytes):
                self._wire.send(head + body, self._idle)
            else:
                self._wire.send(head, self._idle)
                self._wire.send_file(body.file, body.offset, body.size, self._idle)
            return persistent
        return self._send_stream(response, body, announced, persistent)

    def _send_stream(
        self, response: Response, body: Iterable[bytes], length: int | None, persistent: bool
    ) -> bool:
        framing: Fields = ()
        chunked = length is None and self._http11
        if chunked:
            framing = (("Transfer-Encoding", "chunked"),)
        elif length is not None:
            framing = (("Content-Length", str(length)),)
        else:
            persistent = False
        self._wire.send(self._head(response, framing, persistent), self._idle)
        if self._head_only:
            return persistent
        sent = 0
        for piece in body:
            if not piece:
                continue
            sent += len(piece)
            if chunked:
                piece = b"%x\r\n%b\r\n" % (len(piece), piece)
            self._wire.send(piece, self._idle)
        if chunked:
            self._wire.send(b"0\r\n\r\n", self._idle)
        return persistent and (chunked or sent == length)

    def _head(self, response: Response, framing: Fields, persistent: bool) -> bytes:
        fields = [f for f in response.headers if f[0].lower() not in _FRAMING]
        fields.append(("Date", http_date(time.time())))
        fields.extend(framing)
        if not persistent:
            fields.append(("Connection", "close"))
        return head_bytes(response.status, fields)


def _announced_length(fields: Fields) -> int | None:
    for name, value in fields:
        if name.lower() == "content-length":
            return int(value)
    return None
