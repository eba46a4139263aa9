"""Small files that tell a short verb what it needs, without the database.

SQLite is a fine place for what is asked for in many ways, but loading and opening it takes as long
as all the rest that `exec` or `ps` does. So below `records/` there is a file for each container
(`store.containers`), and copies of what the database says of images' names (`store.named`), which
may go at any time.

Whoever changes something here holds the lock of the directory; so does a transaction that changes
names or images, from that change to its end. The lock is flock's: it goes with its process.
"""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import RLock
    from collections.abc import Callable

KINDS = ("containers", "names", "refs", "images")
_COPIES = ("refs", "images")
_CHUNK = 1 << 16


class Records:
    """The directory and its lock, which nests within one thread of a process."""

    def __init__(self, directory: str, thread_lock: RLock, make: Callable[[], object]) -> None:
        """`make` is called where the directory is not there yet, and makes it."""
        self.directory = directory
        self._thread_lock = thread_lock
        self._make = make
        self._depth = 0
        self._fd = -1

    def path(self, kind: str, name: str = "") -> str:
        return f"{self.directory}/{kind}/{name}"

    def require(self) -> None:
        """Sees to it that the directory is there."""
        if not os.path.isdir(self.directory):
            self._make()

    def acquire(self) -> None:
        """Waits for the lock. Each call needs a `release`."""
        self._thread_lock.acquire()
        try:
            if self._depth == 0:
                self._fd = self._locked(fcntl.LOCK_EX)
            self._depth += 1
        except BaseException:
            self._thread_lock.release()
            raise

    def release(self) -> None:
        self._depth -= 1
        if self._depth == 0:
            os.close(self._fd)
        self._thread_lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *fault: object) -> None:
        self.release()

    def share(self) -> int:
        """A descriptor that keeps others from changing anything until it is closed; -1 where
        somebody, or this process, is just doing so."""
        try:
            return -1 if self._depth else self._locked(fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return -1

    def _locked(self, how: int) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            fd = os.open(self.directory, flags)
        except FileNotFoundError:
            self._make()
            fd = os.open(self.directory, flags)
        try:
            fcntl.flock(fd, how)
        except BaseException:
            os.close(fd)
            raise
        return fd


def make(directory: str) -> None:
    """Makes an empty directory of records."""
    for kind in KINDS:
        os.makedirs(f"{directory}/{kind}")


def forget_copies(directory: str) -> None:
    """Removes all copies of what the database and the content say of images."""
    for kind in _COPIES:
        try:
            names = os.listdir(f"{directory}/{kind}")
        except FileNotFoundError:
            continue  # then nothing is copied
        for name in names:
            try:
                os.unlink(f"{directory}/{kind}/{name}")
            except FileNotFoundError:
                pass  # a database that is made anew has no lock: another was just making it


def read(path: str) -> bytes | None:
    """The bytes of a record; None where there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        whole = data = os.read(fd, _CHUNK)
        while len(data) == _CHUNK:
            data = os.read(fd, _CHUNK)
            whole += data
        return whole
    finally:
        os.close(fd)


def write(path: str, data: bytes, *, durable: bool = False) -> None:
    """Writes a record that is not there yet. `durable`: it has to survive a power cut, as what it
    stands for did before."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        os.unlink(path)
        raise
