"""A connected socket with a read buffer and deadlines."""

from __future__ import annotations

import time

from kobako.errors import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import BinaryIO

BUFFER = 256 * 1024


class Disconnected(Unavailable):
    """The client went away, or made no progress in the time it has; nobody is left to answer."""


class Wire:
    """Reads go through one buffer, so that bytes received early are never lost to a later reader.

    The caller owns the socket and closes it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.received = 0
        self.sent = 0
        self._buffer = bytearray(4096)
        self._start = 0
        self._end = 0

    @property
    def buffered(self) -> int:
        """How many bytes wait in the buffer."""
        return self._end - self._start

    def first(self) -> int:
        """The byte that will be read next; only when something is buffered."""
        return self._buffer[self._start]

    def wait(self, seconds: float) -> bool:
        """Fill the buffer if it is empty; False when the peer closed or stayed silent."""
        if self.buffered:
            return True
        self.socket.settimeout(seconds)
        try:
            return self._fill()
        except OSError:
            return False

    def take_until(self, mark: bytes, limit: int, deadline: float) -> bytes | None:
        """The bytes up to and with `mark`, or None when more than `limit` came without it.

        `deadline` is of `time.monotonic`; past it, or at an end of the stream, `Disconnected`.
        """
        searched = self._start
        while True:
            found = self._buffer.find(mark, searched, self._end)
            if found >= 0:
                end = found + len(mark)
                if end - self._start > limit:
                    return None
                taken = bytes(memoryview(self._buffer)[self._start : end])
                self._start = end
                return taken
            if self.buffered >= limit:
                return None
            searched = max(self._start, self._end - len(mark) + 1)
            offset = searched - self._start
            self._fill_before(deadline)
            searched = self._start + offset

    def read_into(self, target: memoryview, deadline: float) -> int:
        """Up to `len(target)` bytes, at least one: buffered ones first, else from the socket."""
        if self.buffered:
            count = min(self.buffered, len(target))
            target[:count] = memoryview(self._buffer)[self._start : self._start + count]
            self._start += count
            return count
        if len(target) < 8192:  # a short read is worth buffering what follows it
            self._fill_before(deadline)
            return self.read_into(target, deadline)
        self._arm(deadline)
        try:
            count = self.socket.recv_into(target)
        except OSError as error:
            raise Disconnected(f"reading a request: {error}") from error
        if not count:
            raise Disconnected("the client closed the connection in the middle of a request")
        self.received += count
        return count

    def rest(self) -> bytes:
        """What is buffered, taken out: the first bytes of whatever follows."""
        taken = bytes(memoryview(self._buffer)[self._start : self._end])
        self._start = self._end = 0
        return taken

    def send(self, data: bytes | bytearray | memoryview, idle: float) -> None:
        """All of `data`; `idle` seconds without progress are a disconnection."""
        view = memoryview(data)
        self.socket.settimeout(idle)
        try:
            while view:
                count = self.socket.send(view)
                self.sent += count
                view = view[count:]
        except OSError as error:
            raise Disconnected(f"sending a response: {error}") from error

    def send_file(self, file: BinaryIO, offset: int, size: int, idle: float) -> None:
        """`size` bytes of a real file from `offset`, by sendfile(2)."""
        self.socket.settimeout(idle)
        try:
            count = self.socket.sendfile(file, offset, size) if size else 0
        except OSError as error:
            raise Disconnected(f"sending a response: {error}") from error
        self.sent += count
        if count != size:
            raise Disconnected("a file became shorter while it was sent")

    def _arm(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Disconnected("the client was too slow")
        self.socket.settimeout(left)

    def _fill_before(self, deadline: float) -> None:
        self._arm(deadline)
        try:
            alive = self._fill()
        except OSError as error:
            raise Disconnected(f"reading a request: {error}") from error
        if not alive:
            raise Disconnected("the client closed the connection in the middle of a request")

    def _fill(self) -> bool:
        """One recv behind what is buffered; the buffer grows when it was of use."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == len(self._buffer) and self._start:
            kept = self.buffered
            self._buffer[:kept] = self._buffer[self._start : self._end]
            self._start, self._end = 0, kept
        if self._end == len(self._buffer):
            self._buffer.extend(bytes(min(len(self._buffer), BUFFER)))
        with memoryview(self._buffer) as view:
            count = self.socket.recv_into(view[self._end :])
        self._end += count
        self.received += count
        return count > 0

    def widen(self) -> None:
        """Make the buffer large: a long body is coming."""
        if len(self._buffer) < BUFFER:
            self._buffer.extend(bytes(BUFFER - len(self._buffer)))
