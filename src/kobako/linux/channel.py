"""Messages with descriptors between related processes: a SOCK_SEQPACKET pair.

`_socket` is used as it is: the `socket` module imports selectors and enum, 4 ms.
"""

from __future__ import annotations

import _socket
import errno
import fcntl
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SEQPACKET = 5
_MSG_CMSG_CLOEXEC = 0x40000000
LIMIT = 32768


class Channel:
    """One end. Each `receive` gets what one `send` gave; b"" means the other end is gone."""

    def __init__(self, end: _socket.socket) -> None:
        self._end = end

    @staticmethod
    def pair() -> tuple[Channel, Channel]:
        """Two connected ends, both close-on-exec."""
        one, other = _socket.socketpair(_socket.AF_UNIX, _SEQPACKET | _socket.SOCK_CLOEXEC, 0)
        return Channel(one), Channel(other)

    @staticmethod
    def connect(address: str) -> Channel:
        """The end of a connection to who listens there."""
        end = _socket.socket(_socket.AF_UNIX, _SEQPACKET | _socket.SOCK_CLOEXEC, 0)
        try:
            end.connect(address)
        except BaseException:
            end.close()
            raise
        return Channel(end)

    def duplicate(self) -> Channel:
        """The same end once more: the other end sees it gone when all of them are closed."""
        copy = fcntl.fcntl(self._end.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)
        return Channel(_socket.socket(_socket.AF_UNIX, _SEQPACKET, 0, copy))

    def fileno(self) -> int:
        return self._end.fileno()

    def close(self) -> None:
        self._end.close()

    def detach(self) -> int:
        """The descriptor, which is the caller's from now on."""
        return self._end.detach()

    def wait_for_end(self) -> None:
        """Sends nothing more, and returns when the other end is gone; its messages are dropped."""
        self._end.shutdown(_socket.SHUT_WR)
        while True:
            message, fds = self.receive()
            for fd in fds:
                os.close(fd)
            if not message:
                return

    def send(self, message: bytes, fds: Iterable[int] = ()) -> bool:
        """Sends up to LIMIT bytes and duplicates of descriptors; False when nobody listens."""
        ancillary = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
        control = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, ancillary)] if ancillary else []
        try:
            self._end.sendmsg([message[:LIMIT]], control, _socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def receive(self) -> tuple[bytes, list[int]]:
        """The next message and its descriptors, which are the caller's and close-on-exec. `OSError`
        with EMFILE where there is no room for one of them."""
        try:
            message, ancillary, flags = self._receive()
        except ConnectionResetError:  # it has gone without reading all we sent: told once, and
            message, ancillary, flags = self._receive()  # what it sent before comes after that
        fds: list[int] = []
        for level, kind, data in ancillary:
            if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                whole = len(data) - len(data) % 4
                fds += [int.from_bytes(data[i : i + 4], sys.byteorder) for i in range(0, whole, 4)]
        if flags & _socket.MSG_CTRUNC:
            for fd in fds:
                os.close(fd)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return message, fds

    def _receive(self) -> tuple[bytes, list[tuple[int, int, bytes]], int]:
        space = _socket.CMSG_SPACE(4 * 8)
        message, ancillary, flags, _ = self._end.recvmsg(LIMIT, space, _MSG_CMSG_CLOEXEC)
        return message, ancillary, flags


def enclosure(data: bytes) -> int:
    """A descriptor, the caller's, by which bytes of any length are sent."""
    fd = os.memfd_create("message", os.MFD_CLOEXEC)
    os.write(fd, data)
    return fd


def content(fd: int) -> bytes:
    """What was enclosed; closes the descriptor that came with the message."""
    try:
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)
