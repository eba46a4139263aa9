"""urllib3's connections, made abortable, and their answers' headers bound by a deadline."""

from __future__ import annotations

import http.client
import io
import socket
import time

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Register = Callable[[HTTPConnection], None]


class _BoundedRaw(io.RawIOBase):
    """A socket's raw reader that refuses to wait beyond `deadline` (monotonic seconds).

    A socket's own timeout only bounds each wait: a server that sends one byte of a header every
    few seconds would hold a thread for days.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self.raw = raw
        self.deadline: float | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise TimeoutError("the headers took too long")
        count: int | None = self.raw.readinto(buffer)
        return count

    def close(self) -> None:
        self.raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """http.client's response with a deadline for its headers."""

    seconds = 120.0

    def begin(self) -> None:
        bounded = _BoundedRaw(self.fp.detach())
        bounded.deadline = time.monotonic() + self.seconds
        self.fp = io.BufferedReader(bounded, 65536)
        super().begin()
        bounded.deadline = None
        lengths = ",".join(self.headers.get_all("Content-Length", ["0"])).split(",")
        if len({length.strip() for length in lengths}) > 1 or not lengths[0].strip().isdecimal():
            # urllib3 finds fault with it too, but only after it has lost the socket.
            raise http.client.HTTPException("malformed Content-Length")


def pools(register: Register, header_seconds: float) -> dict[str, type[HTTPConnectionPool]]:
    """Pool classes by scheme, whose connections `register` themselves before they connect, and when
    they have: with a socket that was not there for who broke everything off in between."""

    class Answer(_Answer):
        seconds = header_seconds

    class Plain(HTTPConnection):
        response_class = Answer

        def connect(self) -> None:
            register(self)
            super().connect()
            register(self)

    class Secure(HTTPSConnection):
        response_class = Answer

        def connect(self) -> None:
            register(self)
            super().connect()
            register(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def shut(sock: Any) -> None:
    """Wake whoever waits on a socket. Not SSLSocket's own shutdown, which races with readers."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except (OSError, TypeError, AttributeError):
        pass  # not connected, or closed already
