"""A byte stream as big blocks, with small exact reads cut out of them."""

from __future__ import annotations

from kobako.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = 1 << 20
"""Bytes read, hashed and compressed at a time."""


class Blocks:
    """Exact reads over `next_block`, which gives bytes of any length and `b""` at the end."""

    def __init__(self, next_block: Callable[[], bytes]) -> None:
        self._next_block = next_block
        self._block = b""
        self._at = 0

    def _advance(self) -> bool:
        self._block = self._next_block()
        self._at = 0
        return bool(self._block)

    def upto(self, count: int) -> bytes:
        """`count` bytes, fewer only where the stream ends."""
        at = self._at
        end = at + count
        if end <= len(self._block):
            self._at = end
            return self._block[at:end]
        parts = [self._block[at:]]
        missing = count - len(parts[0])
        while missing and self._advance():
            part = self._block[:missing]
            self._at = len(part)
            parts.append(part)
            missing -= len(part)
        if missing:
            self._block, self._at = b"", 0
        return b"".join(parts)

    def take(self, count: int) -> bytes:
        """Exactly `count` bytes; `Corrupt` where the stream ends before."""
        data = self.upto(count)
        if len(data) < count:
            raise Corrupt("truncated tar archive: it ends within an entry")
        return data

    def pieces(self, count: int) -> Iterator[memoryview]:
        """The next `count` bytes without copying them, in pieces of at most a block."""
        while count:
            if self._at >= len(self._block) and not self._advance():
                raise Corrupt("truncated tar archive: it ends within an entry")
            piece = memoryview(self._block)[self._at : self._at + count]
            self._at += len(piece)
            count -= len(piece)
            yield piece

    def skip(self, count: int) -> None:
        """Passes over `count` bytes."""
        end = self._at + count
        if end <= len(self._block):
            self._at = end
            return
        for _ in self.pieces(count):
            pass

    def drain(self) -> None:
        """Reads whatever is left to the end of the stream."""
        while self._advance():
            pass
