"""The directory a layer is unpacked into: finds and makes parents, and never leaves the tree.

Every path is walked by the kernel with the tree as its root (openat2's RESOLVE_IN_ROOT): symbolic
links within the tree lead where they would lead in a container, `..` and absolute targets included.
"""

from __future__ import annotations

import errno
import os
import stat

from kobako.errors import Invalid
from kobako.linux import fs, inroot

_OPEN_PARENTS = 64  # descriptors kept


def clean(name: bytes) -> bytes:
    """A member's name without leading slash, `.`, `..` and doubled slashes; `b""` is the root.

    `..` is taken back lexically; `Invalid` when it would climb out of the tree.
    """
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part in (b"", b"."):
            continue
        if part == b"..":
            if not parts:
                raise Invalid("its path climbs out of the tree")
            parts.pop()
        else:
            parts.append(part)
    return b"/".join(parts)


class Target:
    """A tree under a directory descriptor, which stays the caller's."""

    def __init__(self, root_fd: int) -> None:
        self.root_fd = root_fd
        self._parents: dict[bytes, tuple[int, bytes]] = {}
        self._root_path = b""

    def close(self) -> None:
        """Forgets every descriptor. Needed whenever an existing path was removed or replaced."""
        for fd, _ in self._parents.values():
            os.close(fd)
        self._parents.clear()

    def parent(self, path: bytes, *, make: bool = True) -> tuple[int, bytes, bytes]:
        """Descriptor of the directory `path` lies in, its last component, and its real path.

        The descriptor is good until the next call. Missing directories are made with mode 0755.
        `Invalid` when something on the way is no directory.
        """
        directory, slash, name = path.rpartition(b"/")
        if not slash:
            return self.root_fd, name, name
        found = self._parents.get(directory)
        if found is None:
            if len(self._parents) >= _OPEN_PARENTS:
                self.close()
            found = self._parents[directory] = self._open(directory, make)
        fd, real = found
        return fd, name, real + b"/" + name if real else name

    def _open(self, path: bytes, make: bool) -> tuple[int, bytes]:
        try:
            return self._resolve(path)
        except OSError as fault:
            if fault.errno != errno.ENOENT or not make:
                raise _because(fault, path) from None
        self._make(path)
        try:
            return self._resolve(path)
        except OSError as fault:
            raise _because(fault, path) from None

    def _resolve(self, path: bytes) -> tuple[int, bytes]:
        flags = os.O_RDONLY | os.O_DIRECTORY
        try:
            no_links = inroot.IN_ROOT | inroot.NO_SYMLINKS
            return inroot.openat2(self.root_fd, path, flags, no_links), path
        except OSError as fault:
            if fault.errno != errno.ELOOP:
                raise
        within = inroot.IN_ROOT | inroot.NO_MAGICLINKS
        fd = inroot.openat2(self.root_fd, path, flags, within)
        try:
            return fd, self._real(fd)
        except BaseException:
            os.close(fd)
            raise

    def _real(self, fd: int) -> bytes:
        """Where a directory reached through symbolic links really lies in the tree."""
        if not self._root_path:
            self._root_path = os.readlink(b"/proc/self/fd/%d" % self.root_fd)
        path = os.readlink(b"/proc/self/fd/%d" % fd)
        return path[len(self._root_path) :].strip(b"/")

    def _make(self, path: bytes) -> None:
        at = 0
        while at >= 0:
            at = path.find(b"/", at + 1)
            part = path if at < 0 else path[:at]
            above, _, name = part.rpartition(b"/")
            within = inroot.IN_ROOT | inroot.NO_MAGICLINKS
            flags = os.O_RDONLY | os.O_DIRECTORY
            try:
                fd = inroot.openat2(self.root_fd, above or b".", flags, within)
            except OSError as fault:
                raise _because(fault, above) from None
            try:
                os.mkdir(name, 0o755, dir_fd=fd)
                fs.change_mode(fd, name, 0o755)
            except FileExistsError:
                pass
            finally:
                os.close(fd)

    def lstat(self, fd: int, name: bytes) -> os.stat_result | None:
        """What is at `name` in the directory, not following a link; None when nothing is."""
        try:
            return os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def remove(self, fd: int, name: bytes) -> None:
        """Removes `name` and all below it; the descriptor stays good, `parent`'s others do not."""
        fs.remove_tree(name, fd)


def is_whiteout(info: os.stat_result) -> bool:
    """Whether this is overlay's whiteout: a character device 0/0."""
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def _because(fault: OSError, path: bytes) -> Exception:
    reasons = {
        errno.ENOTDIR: "is not a directory, but the entry's path leads through it",
        errno.ELOOP: "has symbolic links that go round in circles",
        errno.ENOENT: "does not exist, or is a symbolic link to nothing",
        errno.ENAMETOOLONG: "is too long a name",
    }
    if fault.errno in reasons:
        shown = path.decode("utf-8", "backslashreplace")[:200]
        return Invalid(f"its parent {shown!r} {reasons[fault.errno]}")
    return fault
