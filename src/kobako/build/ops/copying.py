"""Files into a tree: what COPY does once its sources are chosen.

The rules are BuildKit's: a directory's contents are merged into the destination, an existing
directory keeps its mode at the top and takes the source's below, files replace files and links,
never directories. The tree is ours alone while we write; what its symlinks say is resolved first.
"""

from __future__ import annotations

import errno
import os
import stat

from kobako.build.files import DIRECTORY, FILE, LINK
from kobako.build.ops.rootpath import is_directory, resolve
from kobako.errors import Conflict
from kobako.linux.pouring import pour

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.build.files import Entry, Files
    from kobako.build.ops.fresh import Fresh
    from kobako.build.ops.modes import Mode
    from kobako.build.worker import Tree

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Copier:
    """Writes into `tree`. `owner`, `mode` and `time` (seconds) override what the sources have;
    `wanted` says by the path below a source (`--exclude`) whether to take a file. `fresh` fills
    new directories, where one source of a context is all there is to copy."""

    def __init__(
        self,
        tree: Tree,
        *,
        owner: tuple[int, int] | None = None,
        mode: Mode | None = None,
        wanted: Callable[[str, bool], bool] | None = None,
        time: int | None = None,
        fresh: Fresh | None = None,
    ) -> None:
        self._tree = tree
        self._owner = owner
        self._mode = mode
        self._wanted = wanted
        self._time_ns = None if time is None else time * 1_000_000_000
        self._fresh = fresh
        self._above: set[str] = set()
        self._links: dict[tuple[int, int], str] = {}

    def begin_source(self) -> None:
        """What was copied so far was of other sources: files stay one within a source only."""
        self._links = {}
        self._above = set()

    def place(self, files: Files, entry: Entry, name: str, destination: str) -> None:
        """Copies one source to `destination`, absolute in the tree. A trailing slash says that it
        is a directory; `name` is what a file is called in it."""
        there = self._fresh is None or is_directory(resolve(self._tree.path, destination))
        target = self._target(destination, name, entry.kind == DIRECTORY)
        if there or entry.kind != DIRECTORY or not self._fill_new(entry, target):
            self._copy(files, entry, "", target, overwrite=False)

    def place_below(self, files: Files, entry: Entry, base: Entry, destination: str) -> None:
        """`--parents`: copies one source to its path relative to `base`, parents included."""
        target = resolve(self._tree.path, destination)
        self.make_directories(target)
        path = entry.path[len(base.path) :].strip("/")
        if self._wanted and not self._wanted(path, False) and not self._wanted(path, True):
            return
        relative = path.split("/")
        at = base
        for part in relative[:-1]:
            at = files.children(at)[part]
            target = os.path.join(target, part)
            if self._enter(target, overwrite=False):
                self._finish(files, at, target)
                self._above.add(target)
            elif target not in self._above:  # as BuildKit: the mode alone, and once
                os.chmod(target, at.mode)
                self._above.add(target)
        target = os.path.join(target, relative[-1]) if entry is not base else target
        self._copy(files, entry, "/".join(relative), target, overwrite=True)

    def write(self, data: bytes, name: str, destination: str) -> None:
        """A here-document as a file of that name."""
        target = self._target(destination, name, False)
        self._clear(target)
        fd = os.open(target, _NEW, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            self._own(target, self._owner or (0, 0), fresh=True)
            os.fchmod(fd, self._mode.of(0o644, False) if self._mode else 0o644)
        finally:
            os.close(fd)

    def place_file(
        self, source: int, name: str, destination: str, mode: int, times: tuple[int, int]
    ) -> None:
        """An open file, of nobody in particular, as a file of that name; times in nanoseconds."""
        target = self._target(destination, name, False)
        self._clear(target)
        fd = os.open(target, _NEW, 0o600)
        try:
            pour(source, fd, os.fstat(source).st_size)
            self._own(target, self._owner or (0, 0), fresh=True)
            os.fchmod(fd, self._mode.of(mode, False) if self._mode else mode)
            os.utime(fd, ns=times)
        finally:
            os.close(fd)

    def make_directories(self, path: str, *, plain: bool = False) -> None:
        """Creates the directory `path` (resolved, a host path) and its parents, with what bits of
        rwx an absolute mode has unless they are to be `plain`. In a set-group-id directory they get
        its group and the bit, as from mkdir(2); an owner that was given takes the group back."""
        mode = 0o755
        if self._mode and self._mode.absolute is not None and not plain:
            mode = self._mode.absolute & 0o777
        missing = []
        while not is_directory(path):
            if os.path.lexists(path):
                raise Conflict(f"{self._shown(path)} exists and is not a directory")
            missing.append(path)
            path = os.path.dirname(path)
        for path in reversed(missing):
            above = os.path.dirname(path)
            passed_on = os.lstat(above).st_mode & stat.S_ISGID
            group = self._tree.owner(os.path.relpath(above, self._tree.path))[1] if passed_on else 0
            os.mkdir(path)
            self._own(path, self._owner or (0, group))
            os.chmod(path, mode | passed_on)

    def _target(self, destination: str, name: str, is_dir: bool) -> str:
        head, _, last = destination.rpartition("/")
        inside = last in ("", ".")
        self.make_directories(resolve(self._tree.path, destination if inside else head))
        target = resolve(self._tree.path, destination)
        if is_dir:
            self.make_directories(target)
        elif is_directory(target):
            target = os.path.join(target, name)
        else:
            self.make_directories(os.path.dirname(target))
        return target

    def _copy(
        self, files: Files, entry: Entry, relative: str, target: str, *, overwrite: bool
    ) -> None:
        taken = not self._wanted or not relative or self._wanted(relative, False)
        if entry.kind == DIRECTORY:
            if not taken and not (self._wanted and self._wanted(relative, True)):
                return
            created = taken and self._enter(target, overwrite)
            if created and self._fill_new(entry, target):
                self._finish(files, entry, target)
                return
            for child in files.children(entry).values():
                below = f"{relative}/{child.name}" if relative else child.name
                if not taken and not is_directory(target):
                    self.make_directories(target)
                self._copy(files, child, below, os.path.join(target, child.name), overwrite=True)
            if taken and (created or overwrite):
                self._finish(files, entry, target)
        elif taken:
            self._copy_file(files, entry, target)

    def _fill_new(self, entry: Entry, target: str) -> bool:
        """Has a directory that was made just now filled the quick way, if that can be."""
        if self._fresh is None:
            return False
        return self._fresh.add(os.path.relpath(target, self._tree.path), entry)

    def _enter(self, target: str, overwrite: bool) -> bool:
        """Makes a directory; False when it was there."""
        try:
            os.mkdir(target)
        except FileExistsError:
            if not is_directory(target):
                raise Conflict(f"cannot copy to non-directory: {self._shown(target)}") from None
            return False
        return True

    def _copy_file(self, files: Files, entry: Entry, target: str) -> None:
        status = entry.stat
        inode = (status.st_dev, status.st_ino)
        first = self._links.get(inode) if status.st_nlink > 1 else None
        if first == target:
            return
        self._clear(target)
        device = files.device(entry)
        if device is not None:
            self._make_special(target, *device)
        elif entry.kind == LINK:
            os.symlink(entry.target, target)
        elif entry.kind == FILE:
            if first is not None:
                os.link(first, target)
                return
            self._copy_bytes(files, entry, target)
            if status.st_nlink > 1:
                self._links[inode] = target
            return
        self._finish(files, entry, target)

    def _make_special(self, target: str, kind: int, rdev: int) -> None:
        if kind in (stat.S_IFIFO, stat.S_IFREG):
            os.mknod(target, 0o600 | kind)
        else:
            self._tree.make_device(os.path.relpath(target, self._tree.path), kind, rdev)

    def _copy_bytes(self, files: Files, entry: Entry, target: str) -> None:
        source = files.open(entry)
        try:
            sink = os.open(target, _NEW, 0o600)
            try:
                pour(source, sink, entry.stat.st_size)
                self._own(target, self._owner or files.owner(entry), fresh=True)
                for name, value in files.xattrs(entry):
                    _set_xattr(sink, name, value)
                os.fchmod(sink, self._mode.of(entry.mode, False) if self._mode else entry.mode)
                os.utime(sink, ns=self._times(entry))
            finally:
                os.close(sink)
            files.check_read(source, entry)
        finally:
            os.close(source)

    def _finish(self, files: Files, entry: Entry, target: str) -> None:
        """Owner, mode, attributes and time of what is complete otherwise and no plain file."""
        self._own(target, self._owner or files.owner(entry))
        if entry.kind == DIRECTORY:
            for name, value in files.xattrs(entry):
                _set_xattr(target, name, value)
        if entry.kind != LINK:
            directory = entry.kind == DIRECTORY
            os.chmod(target, self._mode.of(entry.mode, directory) if self._mode else entry.mode)
        os.utime(target, ns=self._times(entry), follow_symlinks=False)

    def _times(self, entry: Entry) -> tuple[int, int]:
        time = entry.stat.st_mtime_ns if self._time_ns is None else self._time_ns
        return time, time

    def _own(self, target: str, owner: tuple[int, int], *, fresh: bool = False) -> None:
        """`fresh`: a new regular file, which nobody has given an owner but the kernel."""
        if fresh and owner == (0, 0):
            status = os.lstat(target)
            if (status.st_uid, status.st_gid) == owner:
                return
        relative = os.path.relpath(target, self._tree.path)
        if self._tree.owner(relative) != owner:
            self._tree.own(relative, *owner)

    def _clear(self, target: str) -> None:
        """Makes way for a file: what is there goes, unless it is a directory."""
        try:
            os.unlink(target)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno in (errno.EISDIR, errno.EPERM) and is_directory(target):
                raise Conflict(
                    f"cannot replace the directory {self._shown(target)} with a file"
                ) from None
            raise

    def _shown(self, path: str) -> str:
        return path[len(self._tree.path) :] or "/"


def _set_xattr(target: int | str, name: str, value: bytes) -> None:
    """Attributes are kept where the file system can; as BuildKit does, their loss is no error."""
    try:
        os.setxattr(target, name, value)
    except OSError:
        pass
