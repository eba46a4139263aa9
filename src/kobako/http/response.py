"""What a handler may answer: bytes, a stream, a file, or the raw connection."""

from __future__ import annotations

from http import HTTPStatus

from kobako import fastjson
from kobako.errors import KobakoError
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable
    from typing import Any, BinaryIO

    Fields = tuple[tuple[str, str], ...]

_REASONS = {status.value: status.phrase for status in HTTPStatus}


class FileBody(Record):
    """A stretch of an open regular file, sent by sendfile(2) and closed afterwards."""

    file: BinaryIO
    offset: int
    size: int


class Response(Record):
    """A status, header fields and a body.

    `body` is bytes, a `FileBody`, or an iterable of bytes: the latter is sent in chunks as it is
    produced unless the fields name a Content-Length, and its `close()` is called when the client
    leaves. Framing fields (Content-Length, Transfer-Encoding, Connection, Date) are the server's;
    a Content-Length given by the handler counts for HEAD (where no body is made) and for streams.
    `close` asks the server to end the connection afterwards.
    """

    status: int
    headers: Fields = ()
    body: bytes | FileBody | Iterable[bytes] = b""
    close: bool = False

    @staticmethod
    def json(status: int, value: Any, headers: Fields = ()) -> Response:
        """A compact JSON document."""
        fields = (("Content-Type", "application/json"), *headers)
        return Response(status, fields, fastjson.dumps(value) + b"\n")

    @staticmethod
    def text(status: int, text: str, headers: Fields = ()) -> Response:
        """Plain text in UTF-8."""
        fields = (("Content-Type", "text/plain; charset=utf-8"), *headers)
        return Response(status, fields, text.encode())


class Upgrade(Record):
    """Hand the connection over: `serve(socket, early)` owns it until it returns.

    The client is told 101 with the protocol it named when it asked to upgrade, else 200 with a body
    that lasts until the connection ends (docker's older attach). `early` is what the client sent
    behind its request before the answer: nothing of it is lost. The socket is blocking, without a
    timeout; the server closes it when `serve` returns.
    """

    serve: Callable[[socket.socket, bytes], None]
    headers: Fields = ()


def reason(status: int) -> str:
    """The phrase of a status code."""
    return _REASONS.get(status, "Unknown")


def render_error(error: KobakoError) -> Response:
    """The default rendering of an error a handler raised: its message as `{"message": ...}`."""
    return Response.json(error.http_status, {"message": error.message})
