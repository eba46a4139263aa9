"""Directories of operations under way, each locked by its maker: a dead one's can be told.

The lock (flock) goes when the maker dies, however that happens. Making and locking are one step for
whoever looks for abandoned directories: both hold a lock on the directory above meanwhile.
"""

from __future__ import annotations

import fcntl
import os

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def make(path: str, mode: int = 0o700) -> int:
    """Make a directory, and what is above it; the descriptor that holds its lock.

    The lock ends when the descriptor is closed. Raises `OSError`.
    """
    base = os.path.dirname(path)
    try:
        above = os.open(base, _DIRECTORY)
    except FileNotFoundError:
        from kobako.linux import placement

        os.makedirs(base, exist_ok=True)
        placement.spread(base)
        above = os.open(base, _DIRECTORY)
    try:
        fcntl.flock(above, fcntl.LOCK_SH)
        os.mkdir(path, mode)
        fd = os.open(path, _DIRECTORY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        return fd
    finally:
        os.close(above)


def take(path: str, *, wait: bool = False) -> int | None:
    """Lock a directory that is there; None when it is gone or, unless we `wait`, another's."""
    try:
        fd = os.open(path, _DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def abandoned(base: str) -> list[tuple[str, int]]:
    """The directories in `base` that nobody holds, now locked: (path, descriptor to close)."""
    try:
        above = os.open(base, _DIRECTORY)
    except FileNotFoundError:
        return []
    found: list[tuple[str, int]] = []
    try:
        fcntl.flock(above, fcntl.LOCK_EX)  # nobody is between making and locking
        for name in os.listdir(above):
            path = os.path.join(base, name)
            fd = take(path)
            if fd is not None:
                found.append((path, fd))
    finally:
        os.close(above)
    return found
