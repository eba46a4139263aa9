"""Files of a context written into a tree and told in a layer's tar, each read once."""

from __future__ import annotations

import os

from kobako.build.files import DIRECTORY, LINK, open_file
from kobako.errors import Unavailable
from kobako.layer import entry as kinds
from kobako.layer.entry import Entry as Member
from kobako.layer.settle import PYC_HEAD, byte_code_head, settle_byte_code
from kobako.layer.tar_writer import encode
from kobako.linux import fs
from kobako.linux.pouring import pour
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from kobako.build.context import Context
    from kobako.build.files import Entry
    from kobako.build.ops.modes import Mode

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SMALL = 64 << 10
_SPECIAL = 0o7000  # a write may clear set-id bits: they come last
_SECOND = 10**9


class Item(Record):
    """A file, link or directory to copy to `path` in the tree. `first`: it is a further name of
    the file that is copied to that path."""

    entry: Entry
    path: str
    first: str = ""


class Scribe:
    """Copies items of `files`. Everything belongs to root and has the time `epoch` (seconds).

    Directories are there already, and linked are further names by somebody else, when all files
    are there.
    """

    def __init__(self, files: Context, mode: Mode | None, epoch: int) -> None:
        self._files = files
        self._mode = mode
        self._epoch = epoch
        self._time = epoch * _SECOND
        self._times = self._time, self._time

    def mode_of(self, entry: Entry) -> int:
        """The permission bits of the copy."""
        if self._mode is None:
            return entry.mode
        return self._mode.of(entry.mode, entry.kind == DIRECTORY)

    def write(self, items: list[Item], root: int, tell: Callable[[bytes], object]) -> None:
        """Copies into the tree `root` and tells the tar, piece by piece. The umask must be 0.

        `Unavailable` names a file that cannot be read.
        """
        above, source, target = None, -1, -1
        try:
            for item in items:
                entry = item.entry
                if entry.kind == DIRECTORY or item.first:
                    tell(self._header(item, kinds.HARDLINK if item.first else kinds.DIRECTORY))
                    continue
                directory = item.path[: -len(entry.name) - 1]
                if directory != above:
                    source, target = self._enter(entry, directory, root, source, target)
                    above = directory
                if entry.kind == LINK:
                    os.symlink(entry.target, entry.name, dir_fd=target)
                    os.utime(entry.name, ns=self._times, dir_fd=target, follow_symlinks=False)
                    tell(self._header(item, kinds.SYMLINK))
                else:
                    self._file(item, source, target, tell)
        finally:
            _close(source, target)

    def _enter(
        self, entry: Entry, directory: str, root: int, source: int, target: int
    ) -> tuple[int, int]:
        """Descriptors of the directories an entry is copied from and to, for the last ones."""
        _close(source, target)
        target = fs.open_directory(root, os.fsencode(directory))
        try:
            return self._files.directory_fd(entry.path[: -len(entry.name)].rstrip("/")), target
        except BaseException:
            os.close(target)
            raise

    def _header(self, item: Item, kind: bytes, size: int = 0) -> bytes:
        return encode(self._member(item, kind, size))

    def _member(self, item: Item, kind: bytes, size: int) -> Member:
        entry = item.entry
        link = item.first if kind == kinds.HARDLINK else entry.target
        mode = 0o777 if kind == kinds.SYMLINK else self.mode_of(entry)
        name = os.fsencode(item.path)
        return Member(name, kind, mode, 0, 0, size, self._time, os.fsencode(link))

    def _file(self, item: Item, source: int, target: int, tell: Callable[[bytes], object]) -> None:
        entry = item.entry
        mode = self.mode_of(entry)
        reader = open_file(entry, source)
        try:
            writer = os.open(entry.name, _NEW, mode & ~_SPECIAL, dir_fd=target)
            try:
                if entry.stat.st_size < _SMALL:
                    data = self._small(entry, reader, writer)
                    tell(self._header(item, kinds.FILE, len(data)) + data + bytes(-len(data) % 512))
                else:
                    self._large(item, reader, writer, target, tell)
                if mode & _SPECIAL:
                    os.fchmod(writer, mode)
                os.utime(writer, ns=self._times)
            finally:
                os.close(writer)
        finally:
            os.close(reader)

    def _small(self, entry: Entry, reader: int, writer: int) -> bytes:
        data = os.read(reader, _SMALL)
        self._files.check_read(reader, entry)
        if entry.name.endswith(".pyc") and len(data) >= PYC_HEAD:
            data = byte_code_head(data[:PYC_HEAD], self._epoch) + data[PYC_HEAD:]
        if data:
            fs.write_all(writer, data)
        return data

    def _large(
        self, item: Item, reader: int, writer: int, target: int, tell: Callable[[bytes], object]
    ) -> None:
        """Told is what is in the tree: the kernel copies, and holes stay holes there."""
        self._files.check_unchanged(reader, item.entry)
        pour(reader, writer, item.entry.stat.st_size)
        self._files.check_read(reader, item.entry)
        if item.entry.name.endswith(".pyc"):
            settle_byte_code(target, os.fsencode(item.entry.name), self._epoch)
        member = self._member(item, kinds.FILE, os.fstat(writer).st_size)
        from kobako.layer.content import write_large

        write_large(member, writer, tell, lambda count: _shrank(item.entry))


def _shrank(entry: Entry) -> NoReturn:
    raise Unavailable(f"the copy of {entry.path} was changed by somebody else")


def _close(*fds: int) -> None:
    for fd in fds:
        if fd >= 0:
            os.close(fd)
