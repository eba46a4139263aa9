"""The head of a request: parsed by h11, framed by us.

h11 knows what a request line and header fields may hold and refuses the rest; bodies do not pass
through it, because copying them chunk by chunk in Python costs more than hashing them.
"""

from __future__ import annotations

from kobako.errors import Invalid, Unsupported
from kobako.http.headers import Headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.http.limits import Limits


class HeadTooLarge(Invalid):
    """The request line or the header fields exceed their limit."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.http_status = status


class Head:
    """Method, target, fields; `length` of the body in bytes, None when it is chunked."""

    __slots__ = ("headers", "http11", "length", "method", "target")

    def __init__(self, raw: bytes, limits: Limits) -> None:
        import h11

        _check_size(raw, limits)
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head)
        try:
            parser.receive_data(raw)
            event = parser.next_event()
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == 501:
                raise Unsupported(f"the request cannot be served: {error}") from error
            raise Invalid(f"the request is malformed: {error}") from error
        if not isinstance(event, h11.Request):
            raise Invalid("the request is malformed")
        self.method = event.method.decode("ascii")
        self.target = event.target.decode("latin-1")
        self.http11 = event.http_version >= b"1.1"
        self.headers = Headers((n.decode("ascii"), v.decode("latin-1")) for n, v in event.headers)
        self.length = _body_length(self.headers, self.http11)


def _check_size(raw: bytes, limits: Limits) -> None:
    if raw.find(b"\r\n") > limits.request_line:
        raise HeadTooLarge("the request line is too long", 414)
    if raw.count(b"\r\n") - 2 > limits.headers:
        raise HeadTooLarge("the request has too many header fields", 431)


def _body_length(headers: Headers, http11: bool) -> int | None:
    lengths = headers.all("content-length")
    if "transfer-encoding" in headers:
        if lengths or not http11:  # the ambiguity request smuggling lives on
            raise Invalid("the request frames its body in two ways")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or len(lengths[0]) > 18:
        raise Invalid("the Content-Length of the request is not believable")
    return int(lengths[0])
