"""Reading a blob as a stream, verified."""

from __future__ import annotations

import io
import os

from kobako.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.oci.digest import Digest


class BlobReader(io.RawIOBase):
    """A blob as a binary stream. The read that meets the end raises `Corrupt` if the bytes were
    not what the digest says; a reader that stops early has verified nothing.
    """

    def __init__(self, fd: int, digest: Digest) -> None:
        """Takes over `fd`."""
        import hashlib

        super().__init__()
        self._fd = fd
        self._digest = digest
        self._hash = hashlib.new(digest.algorithm)
        self.size = os.fstat(fd).st_size
        """The blob's size in bytes."""
        self._position = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # the Buffer type is 3.12's
        count = os.readv(self._fd, [view])
        self._take(view[:count], ended=bool(len(view)) and not count)
        return count

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            chunks = []
            while chunk := self.read(1 << 20):
                chunks.append(chunk)
            return b"".join(chunks)
        data = os.read(self._fd, size)
        self._take(data, ended=size > 0 and not data)
        return data

    def readall(self) -> bytes:
        return self.read(-1)

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._fd)

    def _take(self, data: bytes | memoryview, ended: bool) -> None:
        self._hash.update(data)
        self._position += len(data)
        if (ended or self._position >= self.size) and (
            self._position != self.size or self._hash.hexdigest() != self._digest.encoded
        ):
            raise corrupt(self._digest)


def corrupt(digest: Digest) -> Corrupt:
    """The error about a blob whose bytes are wrong."""
    return Corrupt(
        f"blob {digest} is damaged: its bytes are not what its digest says",
        hint="run: kobako system fsck --repair",
    )
