"""Reading a blob that is still being written."""

from __future__ import annotations

import io
import os
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Following(io.RawIOBase):
    """The bytes of a blob, for another thread than the one that writes it.

    Reading waits for what is not written yet. It comes to an end once the writer knows that the
    content has the digest and size expected of it; when it has not, or the write is given up,
    reading fails (OSError). Whatever is read has gone through the writer's hash.
    """

    def __init__(self, fd: int) -> None:
        """Follows what is written to the file `fd`, of which it keeps a descriptor of its own."""
        super().__init__()
        self._fd = os.dup(fd)
        self._progress = threading.Condition()
        self._written = 0
        self._ended = False
        self._broken = False
        self._position = 0

    # The writer's side

    def reached(self, written: int) -> None:
        """So many bytes are there now."""
        with self._progress:
            self._written = written
            self._progress.notify()

    def end(self) -> None:
        """That was all, and it is what it should be."""
        with self._progress:
            self._ended = True
            self._progress.notify()

    def give_up(self) -> None:
        """There will be no whole blob. Nothing happens after `end`."""
        with self._progress:
            self._broken = not self._ended
            self._progress.notify()

    # The reader's side

    def readable(self) -> bool:
        return True

    def _wait(self) -> int:
        """How many bytes can be read, none at the end."""
        with self._progress:
            while self._position >= self._written and not self._ended and not self._broken:
                self._progress.wait()
            if self._broken:
                raise OSError("the content did not arrive whole")
            return self._written - self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = os.preadv(self._fd, [view[: self._wait()]], self._position)
        self._position += count
        return count

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        data = os.pread(self._fd, min(size, self._wait()), self._position)
        self._position += len(data)
        return data

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._fd)
