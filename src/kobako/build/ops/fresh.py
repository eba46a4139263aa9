"""Directories of the context copied to where nothing is: no merging, nothing to make way for.

Their files are written into the tree and told in the layer's tar at the same time
(`layer.pack.Graft`), by several processes where there are many of them.
"""

from __future__ import annotations

import os

from kobako.build.files import DIRECTORY, FILE, OTHER
from kobako.build.ops.scribe import Item, Scribe
from kobako.errors import Conflict
from kobako.linux import fs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.build.context import Context
    from kobako.build.files import Entry
    from kobako.build.ops.copyists import Copyists
    from kobako.build.ops.modes import Mode

_ITEMS, _BYTES = 200, 1 << 20  # in a part
_MANY = 500  # items that are worth processes
_MOST = 4
_WHITEOUT = ".wh."


class Fresh:
    """The new directories of one COPY and what they get (`layer.pack.Graft`). Owners are root, as
    everything of a context; all times are `epoch` (seconds)."""

    def __init__(self, files: Context, mode: Mode | None, epoch: int) -> None:
        self._files = files
        self._scribe = Scribe(files, mode, epoch)
        self._epoch_ns = epoch * 10**9
        self._items: dict[str, list[Item]] = {}
        self._parts: list[list[Item]] = []
        self._of: dict[bytes, range] = {}  # the parts of each directory
        self._tops: dict[str, tuple[int, int]] = {}  # times that the directories are to keep
        self._root = -1
        self._copyists: Copyists | None = None

    def add(self, path: str, entry: Entry) -> bool:
        """Have the directory `path` of the tree, which is empty, get what is in `entry`, a
        directory. False when there is something in it that only the long way knows how to copy."""
        items: list[Item] = []
        names: dict[tuple[int, int], str] = {}
        cut = len(entry.path) + 1 if entry.path else 0
        for child in self._files.walk(entry):
            if child.kind == OTHER or child.name.startswith(_WHITEOUT):
                return False
            if self._files.owner(child) != (0, 0):
                return False
            place, first = f"{path}/{child.path[cut:]}", ""
            if child.kind == FILE and child.stat.st_nlink > 1:
                inode = child.stat.st_dev, child.stat.st_ino
                first = names.setdefault(inode, place)
            items.append(Item(child, place, first if first != place else ""))
        self._items[path] = items
        return True

    # layer.pack.Graft

    def begin(self, root: int) -> None:
        self._root = root
        for path in sorted(self._items, key=lambda path: path.replace("/", "\0")):
            first = len(self._parts)
            self._parts += _parts(self._items[path])
            self._of[os.fsencode(path)] = range(first, len(self._parts))
            top = fs.open_directory(root, os.fsencode(path))
            try:
                status = os.fstat(top)
                self._tops[path] = status.st_atime_ns, status.st_mtime_ns
            finally:
                os.close(top)
        for item in self._directories():
            os.mkdir(item.path, 0o700, dir_fd=root)
        count = min(len(os.sched_getaffinity(0)), len(self._parts), _MOST)
        if count > 1 and sum(map(len, self._parts)) >= _MANY:
            from kobako.build.ops.copyists import Copyists

            self._copyists = Copyists(count, len(self._parts), self._write)

    def __contains__(self, path: bytes) -> bool:
        return path in self._of

    def tell(self, path: bytes, write: Callable[[bytes], object]) -> None:
        for part in self._of.pop(path):
            if self._copyists is None:
                self._write(part, write)
            else:
                for data in self._copyists.told(part):
                    write(data)

    def finish(self) -> None:
        if self._of:
            raise Conflict(f"{os.fsdecode(min(self._of))} is not part of the layer")
        for items in self._items.values():
            for item in items:
                if item.first:
                    os.link(item.first, item.path, src_dir_fd=self._root, dst_dir_fd=self._root)
        for item in reversed(self._directories()):
            times = self._epoch_ns, self._epoch_ns
            self._complete(item.path, times, self._scribe.mode_of(item.entry))
        for path, times in self._tops.items():
            self._complete(path, times)

    def stop(self) -> None:
        if self._copyists is not None:
            self._copyists.stop()
            self._copyists = None

    # The work

    def _directories(self) -> list[Item]:
        return [i for items in self._items.values() for i in items if i.entry.kind == DIRECTORY]

    def _write(self, part: int, tell: Callable[[bytes], object]) -> None:
        umask = os.umask(0)
        try:
            self._scribe.write(self._parts[part], self._root, tell)
        finally:
            os.umask(umask)

    def _complete(self, path: str, times: tuple[int, int], mode: int | None = None) -> None:
        """A directory in which everything is."""
        fd = fs.open_directory(self._root, os.fsencode(path))
        try:
            if mode is not None:
                os.fchmod(fd, mode)
            os.utime(fd, ns=times)
        finally:
            os.close(fd)


def _parts(items: list[Item]) -> list[list[Item]]:
    """Items in their order, so many at a time that a part is neither too little nor too much."""
    parts: list[list[Item]] = []
    size = _BYTES
    for item in items:
        if size >= _BYTES or len(parts[-1]) >= _ITEMS:
            parts.append([])
            size = 0
        parts[-1].append(item)
        size += item.entry.stat.st_size
    return parts
