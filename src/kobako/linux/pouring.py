"""Bytes from one open file to another."""

from __future__ import annotations

import errno
import os

_CHUNK = 1 << 20
_BLOCK = 512


def pour(source: int, sink: int, size: int) -> None:
    """All `size` bytes from one file to another, new one, in the kernel where it can. Where the
    source has a hole the other gets one too."""
    status = os.fstat(source)
    if status.st_blocks * _BLOCK >= status.st_size or not _pour_data(source, sink, size):
        _copy(source, sink, size)


def _pour_data(source: int, sink: int, size: int) -> bool:
    """Copies what is no hole; False where the file system does not tell."""
    at = 0
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
            end = min(os.lseek(source, at, os.SEEK_HOLE), size)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                break
            if error.errno != errno.EINVAL:
                raise
            os.lseek(source, 0, os.SEEK_SET)
            os.lseek(sink, 0, os.SEEK_SET)
            return False
        os.lseek(source, at, os.SEEK_SET)
        os.lseek(sink, at, os.SEEK_SET)
        _copy(source, sink, end - at)
        at = end
    os.ftruncate(sink, size)
    return True


def _copy(source: int, sink: int, left: int) -> None:
    try:
        while left > 0:
            done = os.copy_file_range(source, sink, left)
            if not done:
                return
            left -= done
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        while left > 0:
            data = os.read(source, min(left, _CHUNK))
            if not data:
                return
            left -= len(data)
            view = memoryview(data)
            while view:
                view = view[os.write(sink, view) :]
