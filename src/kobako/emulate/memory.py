"""The memory of the thread whose call is being answered."""

from __future__ import annotations

import errno

from kobako.linux import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PATH_MAX = 4096

_process_vm = (libc.c_int, libc.c_void_p, libc.c_ulong, libc.c_void_p, libc.c_ulong, libc.c_ulong)
_readv = libc.function("process_vm_readv", libc.c_long, *_process_vm)
_writev = libc.function("process_vm_writev", libc.c_long, *_process_vm)


class Memory:
    """Reads and writes other processes' memory through buffers that are used again and again."""

    def __init__(self) -> None:
        self._buffer = libc.buffer(2 * PATH_MAX)
        self._at = libc.addressof(self._buffer)
        # Two struct iovec { void *base; size_t len; }: ours and the other process's.
        self._iovecs = libc.buffer(32)
        self._local_at = libc.addressof(self._iovecs)
        self._remote_at = self._local_at + 16
        self._vectors = memoryview(self._iovecs).cast("B").cast("Q")

    def string(self, pid: int, address: int, limit: int = PATH_MAX) -> bytes:
        """The NUL-terminated string at `address`; EFAULT, or ENAMETOOLONG past `limit` bytes."""
        # In two reads, cut where a page ends: what follows the string may not be mapped.
        first = PATH_MAX - (address & (PATH_MAX - 1))
        words = self._vectors
        words[0], words[1], words[2], words[3] = self._at, first, address, first
        count = _readv(pid, self._local_at, 1, self._remote_at, 1, 0)
        found: bytes = self._buffer.value  # up to the first NUL, perhaps one of an earlier call
        if count == first <= len(found):
            words[0], words[1] = self._at + first, PATH_MAX
            words[2], words[3] = address + first, PATH_MAX
            count += max(_readv(pid, self._local_at, 1, self._remote_at, 1, 0), 0)
            found = self._buffer.value
        if len(found) < count:
            if len(found) < limit:
                return found
            raise OSError(errno.ENAMETOOLONG, "path")
        raise OSError(errno.ENAMETOOLONG if count > PATH_MAX else errno.EFAULT, "path")

    def read(self, pid: int, address: int, size: int) -> bytes:
        """Exactly `size` bytes; EFAULT if they are not all there."""
        piece = libc.buffer(size) if size > 2 * PATH_MAX else self._buffer
        self._transfer(_readv, pid, address, libc.addressof(piece), size)
        return bytes(memoryview(piece).cast("B")[:size])

    def write(self, pid: int, address: int, data: bytes) -> None:
        piece = libc.buffer(len(data))
        piece.raw = data
        self._transfer(_writev, pid, address, libc.addressof(piece), len(data))

    def write_from(self, pid: int, address: int, source: int, size: int) -> None:
        """Copies `size` bytes at our own address `source` to the other process."""
        self._transfer(_writev, pid, address, source, size)

    def _transfer(
        self, how: Callable[..., int], pid: int, remote: int, local: int, size: int
    ) -> None:
        words = self._vectors
        words[0], words[1], words[2], words[3] = local, size, remote, size
        if how(pid, self._local_at, 1, self._remote_at, 1, 0) != size:
            raise OSError(errno.EFAULT, "process_vm_readv/writev")
