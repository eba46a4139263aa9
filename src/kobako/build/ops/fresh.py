"""A directory of the context copied to where nothing is: no merging, nothing to make way for."""

from __future__ import annotations

import os
import stat

from kobako.build.files import DIRECTORY, FILE, OTHER
from kobako.build.ops.pouring import pour
from kobako.errors import Unavailable
from kobako.linux import fs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.context import Context
    from kobako.build.files import Entry
    from kobako.build.ops.modes import Mode

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SOURCE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SMALL = 64 << 10
_SPECIAL = 0o7000  # a write may clear set-id bits: they come last


def fill(files: Context, entry: Entry, directory: str, mode: Mode | None, time_ns: int) -> None:
    """Copies what lies below `entry` into the empty host directory `directory`, whose own mode and
    time are left alone. Owners are those of this process: root, as everything of a context."""
    writing = _Writing(files, mode, time_ns)
    root = os.open(directory, fs.DIRECTORY)
    umask = os.umask(0)
    try:
        writing.run(entry, root)
    finally:
        os.umask(umask)
        os.close(root)


class _Writing:
    def __init__(self, files: Context, mode: Mode | None, time_ns: int) -> None:
        self._files = files
        self._mode = mode
        self._times = time_ns, time_ns
        self._links: dict[tuple[int, int], str] = {}

    def run(self, top: Entry, root: int) -> None:
        cut = len(top.path) + 1 if top.path else 0
        directories = [top]
        for entry in directories:  # which grows meanwhile
            path = entry.path[cut:]
            target = fs.open_directory(root, os.fsencode(path)) if path else os.dup(root)
            source = self._files.directory(entry)
            try:
                for child in self._files.children(entry).values():
                    if child.kind == FILE:
                        self._file(child, source, target, root, child.path[cut:])
                    elif child.kind == DIRECTORY:
                        os.mkdir(child.name, 0o700, dir_fd=target)
                        directories.append(child)
                    elif child.kind == OTHER:
                        self._special(child, target)
                    else:
                        os.symlink(child.target, child.name, dir_fd=target)
                        os.utime(child.name, ns=self._times, dir_fd=target, follow_symlinks=False)
            finally:
                os.close(source)
                os.close(target)
        for entry in reversed(directories[1:]):
            target = fs.open_directory(root, os.fsencode(entry.path[cut:]))
            os.fchmod(target, self._mode.of(entry.mode, True) if self._mode else entry.mode)
            os.utime(target, ns=self._times)
            os.close(target)

    def _special(self, entry: Entry, target: int) -> None:
        """A named pipe or a device, never opened."""
        kind = stat.S_IFMT(entry.stat.st_mode)
        mode = self._mode.of(entry.mode, False) if self._mode else entry.mode
        try:
            os.mknod(entry.name, kind | mode, entry.stat.st_rdev, dir_fd=target)
        except OSError as error:
            raise Unavailable(f"cannot make {entry.path}: {error.strerror}") from None
        os.utime(entry.name, ns=self._times, dir_fd=target, follow_symlinks=False)

    def _file(self, entry: Entry, source: int, target: int, root: int, path: str) -> None:
        status = entry.stat
        if status.st_nlink > 1:
            inode = status.st_dev, status.st_ino
            first = self._links.setdefault(inode, path)
            if first != path:
                os.link(first, entry.name, src_dir_fd=root, dst_dir_fd=target)
                return
        mode = self._mode.of(entry.mode, False) if self._mode else entry.mode
        reader = self._open(entry, source)
        try:
            writer = os.open(entry.name, _NEW, mode & ~_SPECIAL, dir_fd=target)
            try:
                if status.st_size < _SMALL:
                    data = os.read(reader, _SMALL)
                    while data:
                        data = data[os.write(writer, data) :]
                else:
                    pour(reader, writer, status.st_size)
                if mode & _SPECIAL:
                    os.fchmod(writer, mode)
                os.utime(writer, ns=self._times)
            finally:
                os.close(writer)
        finally:
            os.close(reader)

    def _open(self, entry: Entry, directory: int) -> int:
        try:
            reader = os.open(entry.name, _SOURCE, dir_fd=directory)
        except OSError as error:
            raise Unavailable(f"cannot read {entry.path}: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(reader).st_mode):
            os.close(reader)
            raise Unavailable(f"{entry.path} changed while it was being read")
        return reader
