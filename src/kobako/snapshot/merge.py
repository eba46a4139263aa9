"""Layers merged into one real tree, for where the kernel cannot stack them."""

from __future__ import annotations

import os
import stat

from kobako.layer.format import OwnershipFormat, opaque_xattr, overlay_prefix
from kobako.linux import fs
from kobako.linux.ownership import Owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def merged_owners(trees: Sequence[str], form: str) -> Owners:
    """The owners table of trees stacked topmost first; each table lies beside its tree.

    A tree that has a path decides about it: without an entry it is 0:0 whatever lower ones say.
    """
    merged = Owners()
    if form != OwnershipFormat.EMULATED:
        return merged
    above: list[bytes] = []
    for tree in trees:
        table = Owners.load(os.path.join(os.path.dirname(tree), "owners"))
        for path, owner in table.items():
            if not any(os.path.lexists(higher + b"/" + path) for higher in above):
                merged[path] = owner
        above.append(os.fsencode(tree))
    return merged


def copy_layers(lowers: Sequence[str], target: str, form: str) -> None:
    """Fills the directory `target` with what `lowers` (topmost first) show when stacked."""
    root = os.open(target, fs.DIRECTORY)
    try:
        for lower in reversed(lowers):
            _Copy(os.fsencode(lower), root, form).run()
    finally:
        os.close(root)


class _Copy:
    """One layer copied onto the tree that the layers below it made."""

    def __init__(self, lower: bytes, root_fd: int, form: str) -> None:
        self._lower = lower
        self._root = root_fd
        self._opaque = opaque_xattr(form)
        self._overlay = overlay_prefix(form)
        self._linked: dict[int, bytes] = {}  # inode -> path of its first name
        self._times: list[tuple[bytes, os.stat_result]] = []

    def run(self) -> None:
        self._attributes(self._lower, self._root, os.lstat(self._lower))
        self._times.append((b"", os.lstat(self._lower)))
        pending = [b""]
        while pending:
            path = pending.pop()
            into = fs.open_directory(self._root, path)
            try:
                for name in os.listdir(self._lower + b"/" + path if path else self._lower):
                    child = path + b"/" + name if path else name
                    if self._member(child, name, into):
                        pending.append(child)
            finally:
                os.close(into)
        for path, info in reversed(self._times):
            fd = fs.open_directory(self._root, path)
            os.utime(fd, ns=(info.st_atime_ns, info.st_mtime_ns))
            os.close(fd)

    def _member(self, path: bytes, name: bytes, into: int) -> bool:
        """Copies one name; True for a directory whose content is to follow."""
        source = self._lower + b"/" + path
        info = os.lstat(source)
        kind = stat.S_IFMT(info.st_mode)
        if kind == stat.S_IFDIR:
            self._directory(path, name, into, source, info)
            return True
        fs.remove_tree(name, into)
        if kind == stat.S_IFCHR and info.st_rdev == 0:
            return False  # a whiteout
        if info.st_nlink > 1:
            first = self._linked.setdefault(info.st_ino, path)
            if first != path:
                os.link(first, name, src_dir_fd=self._root, dst_dir_fd=into, follow_symlinks=False)
                return False
        if kind == stat.S_IFREG:
            self._file(name, into, source, info)
        elif kind == stat.S_IFLNK:
            os.symlink(os.readlink(source), name, dir_fd=into)
            self._special(name, into, source, info)
        elif kind != stat.S_IFSOCK:
            os.mknod(name, kind | 0o600, info.st_rdev, dir_fd=into)
            self._special(name, into, source, info)
        return False

    def _directory(
        self, path: bytes, name: bytes, into: int, source: bytes, info: os.stat_result
    ) -> None:
        try:
            there = os.stat(name, dir_fd=into, follow_symlinks=False)
            if not stat.S_ISDIR(there.st_mode) or self._is_opaque(source):
                fs.remove_tree(name, into)
        except FileNotFoundError:
            pass
        try:
            os.mkdir(name, 0o700, dir_fd=into)
        except FileExistsError:
            pass
        fd = os.open(name, fs.DIRECTORY, dir_fd=into)
        try:
            self._attributes(source, fd, info)
        finally:
            os.close(fd)
        self._times.append((path, info))

    def _is_opaque(self, source: bytes) -> bool:
        try:
            return os.getxattr(source, self._opaque) == b"y"
        except OSError:
            return False

    def _file(self, name: bytes, into: int, source: bytes, info: os.stat_result) -> None:
        new = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        origin = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fd = os.open(name, new, 0o600, dir_fd=into)
            try:
                fs.copy_content(origin, fd, info.st_size)
                self._attributes(source, fd, info)
                os.utime(fd, ns=(info.st_atime_ns, info.st_mtime_ns))
            finally:
                os.close(fd)
        finally:
            os.close(origin)

    def _special(self, name: bytes, into: int, source: bytes, info: os.stat_result) -> None:
        os.chown(name, info.st_uid, info.st_gid, dir_fd=into, follow_symlinks=False)
        if not stat.S_ISLNK(info.st_mode):
            os.chmod(name, info.st_mode & 0o7777, dir_fd=into)
        target = b"/proc/self/fd/%d/%b" % (into, name)
        for key in os.listxattr(source, follow_symlinks=False):
            value = os.getxattr(source, key, follow_symlinks=False)
            os.setxattr(target, key, value, follow_symlinks=False)
        times = (info.st_atime_ns, info.st_mtime_ns)
        os.utime(name, ns=times, dir_fd=into, follow_symlinks=False)

    def _attributes(self, source: bytes, fd: int, info: os.stat_result) -> None:
        os.fchown(fd, info.st_uid, info.st_gid)
        os.fchmod(fd, info.st_mode & 0o7777)
        wanted = {k: os.getxattr(source, k) for k in os.listxattr(source)}
        for key in os.listxattr(fd):
            if key not in wanted:
                os.removexattr(fd, key)
        for key, value in wanted.items():
            if not key.startswith(self._overlay) or key.startswith(self._overlay + "overlay."):
                os.setxattr(fd, key, value)
