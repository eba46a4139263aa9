"""Bytes from one open file to another."""

from __future__ import annotations

import errno
import os

_CHUNK = 1 << 20


def pour(source: int, sink: int, size: int) -> None:
    """All bytes from one file to another, in the kernel where it can."""
    left = size
    try:
        while left > 0:
            done = os.copy_file_range(source, sink, left)
            if not done:
                return
            left -= done
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        while True:
            data = os.read(source, _CHUNK)
            if not data:
                return
            view = memoryview(data)
            while view:
                view = view[os.write(sink, view) :]
