"""A directory of the context copied to where nothing is: no merging, nothing to make way for."""

from __future__ import annotations

import os
import stat
from functools import partial

from kobako.build.files import DIRECTORY, FILE, FILE_FLAGS, OTHER
from kobako.errors import Unavailable
from kobako.linux import fs
from kobako.linux.pouring import pour

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.build.context import Context
    from kobako.build.files import Entry
    from kobako.build.ops.modes import Mode

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 200
_SMALL = 64 << 10
_SPECIAL = 0o7000  # a write may clear set-id bits: they come last


def fill(
    files: Context,
    entry: Entry,
    directory: str,
    mode: Mode | None,
    time_ns: int,
    make_device: Callable[[str, int, int], None],
) -> None:
    """Copies what lies below `entry` into the empty host directory `directory`, whose own mode and
    time are left alone. Owners are those of this process: root, as everything of a context.
    `make_device(path in the directory, type, number)`: not everybody may make one."""
    writing = _Writing(files, mode, time_ns, make_device)
    root = os.open(directory, fs.DIRECTORY)
    umask = os.umask(0)
    try:
        writing.run(entry, root)
    finally:
        os.umask(umask)
        os.close(root)


class _Writing:
    def __init__(
        self,
        files: Context,
        mode: Mode | None,
        time_ns: int,
        make_device: Callable[[str, int, int], None],
    ) -> None:
        self._make_device = make_device
        self._files = files
        self._mode = mode
        self._times = time_ns, time_ns
        self._links: dict[tuple[int, int], str] = {}

    def run(self, top: Entry, root: int) -> None:
        """Directories, then files by several threads, then further names of files."""
        cut = len(top.path) + 1 if top.path else 0
        directories = [top]
        for entry in directories:  # which grows meanwhile
            for child in self._files.children(entry).values():
                if child.kind == DIRECTORY:
                    directories.append(child)
        for entry in directories[1:]:
            above, _, name = entry.path[cut:].rpartition("/")
            target = fs.open_directory(root, os.fsencode(above))
            os.mkdir(name, 0o700, dir_fd=target)
            os.close(target)
        tasks = []
        linked = []
        for entry in directories:
            inside = [c for c in self._files.children(entry).values() if c.kind != DIRECTORY]
            linked += [c for c in inside if c.stat.st_nlink > 1 and c.kind == FILE]
            alone = [c for c in inside if c.stat.st_nlink == 1 or c.kind != FILE]
            tasks += [
                partial(self._fill, entry, alone[at : at + _CHUNK], root, cut)
                for at in range(0, len(alone), _CHUNK)
            ]
        if len(tasks) > 1:
            from kobako.build.together import run_all

            run_all(tasks)
        elif tasks:
            tasks[0]()
        for child in linked:
            self._link(child, root, cut)
        for entry in reversed(directories[1:]):
            target = fs.open_directory(root, os.fsencode(entry.path[cut:]))
            os.fchmod(target, self._mode.of(entry.mode, True) if self._mode else entry.mode)
            os.utime(target, ns=self._times)
            os.close(target)

    def _fill(self, directory: Entry, children: list[Entry], root: int, cut: int) -> None:
        """Some of the files and links of a directory, which have no other names."""
        target = fs.open_directory(root, os.fsencode(directory.path[cut:]))
        source = self._files.directory_fd(directory.path)
        try:
            for child in children:
                if child.kind == FILE:
                    self._file(child, source, target)
                elif child.kind == OTHER:
                    self._special(child, target, child.path[cut:])
                else:
                    os.symlink(child.target, child.name, dir_fd=target)
                    os.utime(child.name, ns=self._times, dir_fd=target, follow_symlinks=False)
        finally:
            os.close(source)
            os.close(target)

    def _special(self, entry: Entry, target: int, path: str) -> None:
        """A named pipe or a device, never opened."""
        kind = stat.S_IFMT(entry.stat.st_mode)
        mode = self._mode.of(entry.mode, False) if self._mode else entry.mode
        try:
            if kind == stat.S_IFIFO:
                os.mkfifo(entry.name, 0o600, dir_fd=target)
            else:
                self._make_device(path, kind, entry.stat.st_rdev)
        except OSError as error:
            raise Unavailable(f"cannot make {entry.path}: {error.strerror}") from None
        os.chmod(entry.name, mode, dir_fd=target)
        os.utime(entry.name, ns=self._times, dir_fd=target, follow_symlinks=False)

    def _link(self, child: Entry, root: int, cut: int) -> None:
        """A file that may have another name among those that are copied."""
        above = child.path.rpartition("/")[0]
        target = fs.open_directory(root, os.fsencode(above[cut:]))
        try:
            inode = child.stat.st_dev, child.stat.st_ino
            first = self._links.setdefault(inode, child.path[cut:])
            if first != child.path[cut:]:
                os.link(first, child.name, src_dir_fd=root, dst_dir_fd=target)
                return
            source = self._files.directory_fd(above)
            try:
                self._file(child, source, target)
            finally:
                os.close(source)
        finally:
            os.close(target)

    def _file(self, entry: Entry, source: int, target: int) -> None:
        status = entry.stat
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
            self._files.check_read(reader, entry)
        finally:
            os.close(reader)

    def _open(self, entry: Entry, directory: int) -> int:
        try:
            reader = os.open(entry.name, FILE_FLAGS, dir_fd=directory)
        except OSError as error:
            raise Unavailable(f"cannot read {entry.path}: {error.strerror}") from None
        try:
            self._files.check_unchanged(reader, entry)
        except BaseException:
            os.close(reader)
            raise
        return reader
