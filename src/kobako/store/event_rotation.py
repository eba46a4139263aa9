"""Beginning another file of the event log: log becomes log.1, that log.2, and the oldest goes.

Nobody waits for it and nothing is written to be lost by it: who has just opened the log writes into
what is log.1 by then, and who reads a file has it open until it has read the next ones.
"""

from __future__ import annotations

import fcntl
import os

KEPT = 4  # files


def rotate(path: str, full: int) -> None:
    """Have the log at `path`, longer than `full` bytes, begin anew, unless another process is at
    that or has done it."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        own = os.fstat(fd)
        if own.st_size > full and own.st_ino == os.stat(path).st_ino:
            _shift(path)
    except OSError:  # the lock is another's, or the store is just going
        pass
    finally:
        os.close(fd)


def files(path: str) -> list[str]:
    """The names of the log's files, the oldest first; not all need be there."""
    return [f"{path}.{number}" for number in range(KEPT - 1, 0, -1)] + [path]


def _shift(path: str) -> None:
    """Up to the first name that is free: one who was killed doing this has left one so."""
    names = files(path)[::-1]
    free = next((at for at, name in enumerate(names) if not os.path.exists(name)), KEPT - 1)
    for at in range(free, 0, -1):
        os.rename(names[at - 1], names[at])
