"""Reading the event log: what it has, and what comes. `event_log` tells its form."""

from __future__ import annotations

import os

from kobako.fastjson import restore
from kobako.store.event_log import HEAD
from kobako.store.event_rotation import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_CHUNK = 1 << 20


class EventReader:
    """Each `read` gives the records that have been written since the one before.

    Every file is kept open for as long as it has a name: who had opened it before it was renamed
    may write to it yet, and one that this reader is in the midst of loses nothing by going.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._open: dict[int, _File] = {}  # by inode, the oldest first

    def skip(self) -> None:
        """Pass over all that is there."""
        self._look()
        for file in self._open.values():
            os.lseek(file.fd, 0, os.SEEK_END)

    def read(self, since_ns: int = 0) -> Iterator[dict[str, Any]]:
        """The next records, none from before `since_ns`; those that cannot be read are left out."""
        named = self._look()
        # The newest is read first, that nothing is given before what was written earlier: one who
        # has written to it has by then written all he had for an older one.
        found = [(inode, file, file.rest()) for inode, file in reversed(self._open.items())]
        for inode, file, data in reversed(found):
            for line in file.lines(data):
                record = parse(line, since_ns)
                if record is not None:
                    yield record
            if inode not in named:
                os.close(self._open.pop(inode).fd)

    def _look(self) -> set[int]:
        """Opens the files that are new; the inodes of those that have a name."""
        named, new = set(), []
        for name in reversed(files(self._path)):  # so that one that is just renamed is not missed
            try:
                inode = os.stat(name).st_ino
                if inode not in self._open and inode not in named:
                    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
                    inode = os.fstat(fd).st_ino
                    new.append((inode, _File(fd)))
                named.add(inode)
            except FileNotFoundError:
                pass
        for inode, file in reversed(new):
            if inode in self._open:
                os.close(file.fd)
            else:
                self._open[inode] = file
        return named

    def close(self) -> None:
        for file in self._open.values():
            os.close(file.fd)
        self._open.clear()


class _File:
    """One file, and the beginning of a line whose end is not there yet."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._begun = b""

    def rest(self) -> bytes:
        """What has not been read yet."""
        parts = []
        while data := os.read(self.fd, _CHUNK):
            parts.append(data)
        return b"".join(parts)

    def lines(self, data: bytes) -> list[bytes]:
        """The lines that end in what was read now."""
        *whole, self._begun = (self._begun + data).split(b"\n")
        return whole


def parse(line: bytes, since_ns: int = 0) -> dict[str, Any] | None:
    """The record of a line; None where there is none, or one from before `since_ns`.

    One that was cut short has the next one behind it. What HEAD is cannot stand within a record:
    the quotes of strings are escaped."""
    at = line.rfind(HEAD)
    if at < 0:
        return None
    begin = at + len(HEAD)
    digits = line[begin : line.find(b",", begin)]
    try:
        if int(digits) < since_ns:
            return None
        record = restore(line[at:])
        whole = isinstance(record["Attributes"], dict) and record["Type"] and record["Action"]
        return record if whole and isinstance(record["ID"], str) else None
    except (ValueError, KeyError):
        return None
