"""A little room kept for a full disk: even to forget something, the database has to write.

`<root>/reserve` is a file of zeros. What removes things gives it up first where nothing else is
left, and lays it up again once there is room.
"""

from __future__ import annotations

import os

SIZE = 2 << 20
_PLENTY = 4 * SIZE


def spend(root: str) -> None:
    """Gives the reserve up if the disk is full. Whatever else ails the disk is told elsewhere."""
    try:
        if _room(root) < SIZE:
            os.unlink(_path(root))
    except OSError:
        pass


def lay_up(root: str) -> None:
    """Makes the reserve where it is missing and there is room for more than it."""
    path = _path(root)
    try:
        if os.path.exists(path) or _room(root) < _PLENTY:
            return
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, SIZE)
        finally:
            os.close(fd)
    except OSError:
        pass


def _room(root: str) -> int:
    info = os.statvfs(root)
    return info.f_bavail * info.f_frsize


def _path(root: str) -> str:
    return os.path.join(root, "reserve")
