"""Where a huge file is nothing but zeros: a layer holds the rest of it, as GNU's sparse form 1.0.

image-spec advises against sparse members, as not every tar knows them. The readers of Go, GNU,
libarchive and Python do, and the other choice is a layer of a hundred gigabytes of zeros. So only
files that are spared a gigabyte are written so. It is decided by the content alone: whether the
zeros are a hole or lie on the disk makes no difference to the layer.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kobako.layer.sparse import Pieces

WORTH = 1 << 30
"""Bytes of zeros that are worth a sparse member."""

_BLOCK = 1 << 20
_PIECES = 1 << 15  # a map of less than the mebibyte that Go reads
ZEROS = bytes(_BLOCK)


def find(fd: int, size: int) -> Pieces | None:
    """The pieces of a file that are not zeros, in blocks of a mebibyte (more where there are too
    many of them); None when the file is to be written as it is."""
    if size < WORTH:
        return None
    block = _BLOCK
    filled = list(_filled(fd, size))
    pieces = _pieces(filled, block, size)
    while len(pieces) > _PIECES:
        block *= 2
        pieces = _pieces((at // block * block for at in filled), block, size)
    os.lseek(fd, 0, os.SEEK_SET)
    if size - sum(length for _, length in pieces) < WORTH:
        return None
    if not pieces or sum(pieces[-1]) < size:
        pieces.append((size, 0))  # how GNU tar knows of a hole at the end
    return pieces


def _pieces(starts: Iterable[int], block: int, size: int) -> Pieces:
    """The blocks that begin at `starts`, in order, as pieces that do not touch."""
    pieces: Pieces = []
    for start in starts:
        end = min(start + block, size)
        if pieces and start <= sum(pieces[-1]):
            pieces[-1] = (pieces[-1][0], end - pieces[-1][0])
        else:
            pieces.append((start, end - start))
    return pieces


def blank(data: memoryview) -> bool:
    """Whether a piece of at most a block is all zeros."""
    if not data or data[0] or data[-1] or data[len(data) >> 1]:
        return False
    return ZEROS.startswith(bytes(data))


def _filled(fd: int, size: int) -> Iterator[int]:
    """The offsets of the blocks that are not all zeros."""
    at = 0
    while at < size:
        at = _next_data(fd, at) // _BLOCK * _BLOCK
        os.lseek(fd, at, os.SEEK_SET)
        data = os.read(fd, _BLOCK)
        if at >= size or not data:
            return
        if not ZEROS.startswith(data):
            yield at
        at += _BLOCK


def _next_data(fd: int, at: int) -> int:
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError as fault:
        if fault.errno == errno.ENXIO:
            return os.fstat(fd).st_size
        if fault.errno == errno.EINVAL:
            return at  # the file system does not tell
        raise
