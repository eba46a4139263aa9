"""Files of operations under way: each is locked by its process, so that a dead one's can be told.

The lock (flock) goes when the process dies. A name is made before its lock, so whoever makes one
checks afterwards that no collector took the file in between.
"""

from __future__ import annotations

import fcntl
import os


class IngestFile:
    """A new, locked, empty file; `fd` is open for reading and writing."""

    __slots__ = ("fd", "path")

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.fd = fd

    @property
    def closed(self) -> bool:
        return self.fd < 0

    def close(self) -> None:
        """Drop the lock and the descriptor; the name stays."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def discard(self) -> None:
        """Remove the file, then drop the lock. Idempotent."""
        if self.fd >= 0:
            try:
                os.unlink(self.path)
            except FileNotFoundError:
                pass
            self.close()


def create(directory: str, suffix: str = "") -> IngestFile:
    """A new file with a random name in `directory`, which must exist. Raises `OSError`."""
    while True:
        path = os.path.join(directory, os.urandom(12).hex() + suffix)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return IngestFile(path, fd)
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def is_locked(path: str) -> bool:
    """Whether the process that made the file still holds it; False where there is no file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def remove_if_dead(path: str) -> int | None:
    """Remove the file unless its process holds it; the bytes it occupied, or None if it stays."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        size = os.fstat(fd).st_blocks * 512
        os.unlink(path)
    except (BlockingIOError, FileNotFoundError):
        return None
    finally:
        os.close(fd)
    return size


def claim(path: str) -> int | None:
    """Lock the file `path`, made if missing, without waiting: its descriptor, or None if another
    holds it. Give it back by unlinking the file and then closing.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.stat(path), os.fstat(fd)):
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(fd)
    return None
