"""The supervisor's control socket: further listeners come in by it, requests to flush and owners.

A request is one byte, `L` or `C` with a listener attached (of a plain filter, of a checked one),
`F`, or `R` with a file attached that has lines of an owners table; the answer is one byte, `+` when
done.
The socket's directory keeps strangers out.
"""

from __future__ import annotations

import os
import sys

from kobako.errors import NotFound, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

_AF_UNIX, _SOCK_STREAM, _SOL_SOCKET, _SCM_RIGHTS = 1, 1, 1, 1
LISTENER, CHECKED, FLUSH, RECORD, DONE, FAILED = b"L", b"C", b"F", b"R", b"+", b"-"


def listen(path: str) -> _socket.socket:
    """The supervisor's end. A stale socket at `path` is replaced."""
    import _socket

    server = _socket.socket(_AF_UNIX, _SOCK_STREAM, 0)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    with _Short(path) as short:
        server.bind(short)
    server.listen(16)
    server.setblocking(False)
    return server


def receive(server: _socket.socket) -> tuple[_socket.socket, bytes, int] | None:
    """A waiting request: its connection (to `answer`), kind, and what is attached or -1."""
    import _socket

    try:
        fd, _ = server._accept()  # type: ignore[attr-defined]  # typeshed has it on socket alone
        connection = _socket.socket(fileno=fd)
        # A client sends at once; one that does not may not keep the container waiting.
        connection.settimeout(1)
        kind, ancillary, _, _ = connection.recvmsg(1, 64)
    except OSError:
        return None
    listener = -1
    for level, what, data in ancillary:
        if level == _SOL_SOCKET and what == _SCM_RIGHTS:
            for at in range(0, len(data) - len(data) % 4, 4):
                fd = int.from_bytes(data[at : at + 4], sys.byteorder)
                if listener < 0:
                    listener = fd
                else:
                    os.close(fd)
    return connection, kind, listener


def answer(connection: _socket.socket, done: bool) -> None:
    try:
        connection.send(DONE if done else FAILED)
    except OSError:
        pass
    connection.close()


def forward(listener_fd: int, path: str, checked: bool) -> None:
    _request(path, CHECKED if checked else LISTENER, listener_fd)


def flush(path: str) -> None:
    _request(path, FLUSH, -1)


def record(path: str, lines: bytes) -> None:
    fd = os.memfd_create("owners", os.MFD_CLOEXEC)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(lines)
        _request(path, RECORD, fd)
    finally:
        os.close(fd)


def _request(path: str, kind: bytes, listener: int) -> None:
    import _socket

    client = _socket.socket(_AF_UNIX, _SOCK_STREAM, 0)
    try:
        with _Short(path) as short:
            client.connect(short)
        rights = []
        if listener >= 0:
            rights.append((_SOL_SOCKET, _SCM_RIGHTS, listener.to_bytes(4, sys.byteorder)))
        client.sendmsg([kind], rights)
        said = client.recv(1)
    except OSError as e:
        raise NotFound(
            f"no ownership supervisor answers at {path}: {e.strerror}",
            hint="the container has ended, or its supervisor was killed: start it again",
        ) from e
    finally:
        client.close()
    if said != DONE:
        raise Unavailable(
            f"the ownership supervisor at {path} refused the request {kind!r}",
            hint="if kobako was replaced since the container was started, start it again",
        )


class _Short:
    """A name for `path` that fits into the 108 bytes of a socket address."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) < 108:
            return self._path
        self._fd = os.open(os.path.dirname(self._path), os.O_PATH | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}/{os.path.basename(self._path)}"

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
