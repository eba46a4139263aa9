"""Mounts as values: planned as `Mount`s, shown by `describe`, carried out by `apply`.

Options are given by the names of mount(8) and of the runtime-spec's "Linux mount options". Bind
mounts go through open_tree, mount_setattr and move_mount (Linux 5.12): attributes are in force
before anything is visible, nothing a bound tree already forbids is ever lifted, and the target can
be a descriptor rather than a name that somebody might exchange.
"""

from __future__ import annotations

import errno
import os

from kobako.errors import Invalid
from kobako.linux import libc
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_DETACH = 2

# mount(2) flags: name -> (bits set, bits cleared)
_FLAGS: dict[str, tuple[int, int]] = {
    "defaults": (0, 0),
    "ro": (MS_RDONLY, 0),
    "rw": (0, MS_RDONLY),
    "nosuid": (MS_NOSUID, 0),
    "suid": (0, MS_NOSUID),
    "nodev": (MS_NODEV, 0),
    "dev": (0, MS_NODEV),
    "noexec": (MS_NOEXEC, 0),
    "exec": (0, MS_NOEXEC),
    "sync": (16, 0),
    "async": (0, 16),
    "remount": (MS_REMOUNT, 0),
    "mand": (64, 0),
    "nomand": (0, 64),
    "dirsync": (128, 0),
    "nosymfollow": (256, 0),
    "symfollow": (0, 256),
    "noatime": (1024, 0),
    "atime": (0, 1024),
    "nodiratime": (2048, 0),
    "diratime": (0, 2048),
    "bind": (MS_BIND, 0),
    "rbind": (MS_BIND | MS_REC, 0),
    "silent": (32768, 0),
    "loud": (0, 32768),
    "relatime": (1 << 21, 0),
    "norelatime": (0, 1 << 21),
    "iversion": (1 << 23, 0),
    "noiversion": (0, 1 << 23),
    "strictatime": (1 << 24, 0),
    "nostrictatime": (0, 1 << 24),
    "lazytime": (1 << 25, 0),
    "nolazytime": (0, 1 << 25),
}
_PROPAGATION = {
    "private": MS_PRIVATE,
    "slave": MS_SLAVE,
    "shared": MS_SHARED,
    "unbindable": MS_UNBINDABLE,
    "rprivate": MS_PRIVATE | MS_REC,
    "rslave": MS_SLAVE | MS_REC,
    "rshared": MS_SHARED | MS_REC,
    "runbindable": MS_UNBINDABLE | MS_REC,
}
# mount_setattr(2) attributes: name -> (set, cleared). The access time modes are one field (0x70).
_ATTRIBUTES: dict[str, tuple[int, int]] = {
    "ro": (0x1, 0),
    "rw": (0, 0x1),
    "nosuid": (0x2, 0),
    "suid": (0, 0x2),
    "nodev": (0x4, 0),
    "dev": (0, 0x4),
    "noexec": (0x8, 0),
    "exec": (0, 0x8),
    "relatime": (0, 0x70),
    "norelatime": (0, 0),
    "atime": (0, 0x70),
    "noatime": (0x10, 0x70),
    "strictatime": (0x20, 0x70),
    "nostrictatime": (0, 0x70),
    "nodiratime": (0x80, 0),
    "diratime": (0, 0x80),
    "nosymfollow": (0x200000, 0),
    "symfollow": (0, 0x200000),
}
_RECURSIVE = {"r" + name: name for name in _ATTRIBUTES if name != "relatime"}

# System calls since Linux 5.2 have one number on every architecture.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_ATIME_FIELD = 0x70
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE, _CLOEXEC = 1, os.O_CLOEXEC
_MOVE_FROM_EMPTY, _MOVE_TO_EMPTY = 0x4, 0x40

_mount = libc.function(
    "mount", libc.c_int, libc.c_char_p, libc.c_char_p, libc.c_char_p, libc.c_ulong, libc.c_char_p
)
_umount2 = libc.function("umount2", libc.c_int, libc.c_char_p, libc.c_int)
_pivot_root = libc.function("pivot_root", libc.c_int, libc.c_char_p, libc.c_char_p)


def is_option(name: str) -> bool:
    """Whether the name is a mount flag, rather than data for the filesystem."""
    return name in _FLAGS or name in _PROPAGATION or name in _RECURSIVE


class Mount(Record):
    """One mount to be made.

    `type` is the filesystem ("overlay", "tmpfs"; "none" for binds), `flags` are option names ("ro",
    "nosuid", "rbind", "rprivate", ...), `data` is what the filesystem itself parses
    ("lowerdir=...,upperdir=...", "mode=755,size=64k"), comma-separated.
    """

    type: str
    source: str
    target: str
    flags: tuple[str, ...] = ()
    data: str = ""

    @classmethod
    def of_options(cls, type: str, source: str, target: str, options: Iterable[str]) -> Mount:  # noqa: A002 - the spec's word
        """From a runtime-spec mount: options that are no flags become data, in their order."""
        options = tuple(options)
        flags = tuple(o for o in options if is_option(o))
        return cls(type, source, target, flags, ",".join(o for o in options if o not in flags))

    @property
    def is_bind(self) -> bool:
        return "bind" in self.flags or "rbind" in self.flags

    def apply(self, *, at: int = -1) -> None:
        """Makes the mount on `target`, or on the place the descriptor `at` (O_PATH) stands for.

        Raises OSError with the target as its filename, and `Invalid` for an unknown flag.
        """
        for name in self.flags:
            if not is_option(name):
                raise Invalid(f"mount on {self.target}: unknown flag {name}")
        if self.is_bind and "remount" not in self.flags:
            self._bind(at)
            return
        where = self.target if at < 0 else f"/proc/self/fd/{at}"
        bits = 0
        for name in self.flags:
            put, drop = _FLAGS.get(name, (0, 0))
            bits = bits & ~drop | put
        data = os.fsencode(self.data)
        if self.type == "overlay" and len(data) >= os.sysconf("SC_PAGESIZE") - 1:
            _mount_long_overlay(self, where, bits)
        else:
            result = _mount(
                os.fsencode(self.source), os.fsencode(where), os.fsencode(self.type), bits, data
            )
            libc.check(result, f"mount {self.type}", self.target)
        for name in self.flags:
            if name in _PROPAGATION and at < 0:
                set_propagation(self.target, name)

    def _bind(self, at: int) -> None:
        tree = clone(self.source, deep="rbind" in self.flags)
        try:
            self._set_attributes(tree)
            move(tree, at, self.target)
        finally:
            os.close(tree)

    def _set_attributes(self, tree: int) -> None:
        plain, deep = [0, 0], [0, 0]
        for name in self.flags:
            where = deep if name in _RECURSIVE else plain
            put, drop = _ATTRIBUTES.get(_RECURSIVE.get(name, name), (0, 0))
            where[0] = where[0] & ~drop | put
            where[1] |= drop
        propagation = 0
        deep_propagation = False
        for name in self.flags:
            if name in _PROPAGATION:
                propagation = _PROPAGATION[name] & ~MS_REC
                deep_propagation = bool(_PROPAGATION[name] & MS_REC)
        if plain != [0, 0] or (propagation and not deep_propagation):
            _setattr(tree, plain, 0 if deep_propagation else propagation, 0, self.target)
        if deep != [0, 0] or (propagation and deep_propagation):
            _setattr(tree, deep, propagation if deep_propagation else 0, _AT_RECURSIVE, self.target)


def clone(path: str, *, deep: bool) -> int:
    """A descriptor of a copy of the mount at `path`, with those below it if `deep`, that hangs
    nowhere yet: `move` puts it somewhere, in another mount namespace too."""
    flags = _OPEN_TREE_CLONE | _CLOEXEC | (_AT_RECURSIVE if deep else 0)
    return libc.syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(path), flags, what=f"bind {path}")


def _setattr(tree: int, change: list[int], propagation: int, flags: int, subject: str) -> None:
    """mount_setattr(2) on a descriptor. What a user namespace may not change stays as it is.

    There the access time mode and whatever the tree's owner forbade are locked: only the
    attributes that restrict are tried again.
    """
    restrict = change[0] & ~_ATIME_FIELD
    for put, drop in ((change[0], change[1]), (restrict, 0)):
        attr = b"".join(v.to_bytes(8, "little") for v in (put, drop, propagation, 0))
        call = (_MOUNT_SETATTR, tree, b"", flags | _AT_EMPTY_PATH, attr, len(attr))
        try:
            libc.syscall(*call, what="mount_setattr")
            return
        except OSError as fault:
            if fault.errno != errno.EPERM or [put, drop] == [restrict, 0]:
                what = f"mount_setattr: {os.strerror(fault.errno or 0)}"
                raise OSError(fault.errno, what, subject) from None


def move(tree: int, at: int, target: str) -> None:
    """Puts the mount the descriptor `tree` stands on, and all below it, on `target`, or on the
    place `at` (if not -1) stands for."""
    flags = _MOVE_FROM_EMPTY | (_MOVE_TO_EMPTY if at >= 0 else 0)
    where, path = (at, b"") if at >= 0 else (_AT_FDCWD, os.fsencode(target))
    try:
        libc.syscall(_MOVE_MOUNT, tree, b"", where, path, flags, what="move_mount")
    except OSError as fault:
        raise OSError(fault.errno, f"mount: {os.strerror(fault.errno or 0)}", target) from None


def make_readonly(path: str | int, *, recursive: bool = False) -> None:
    """Makes the existing mount at a path, or the one a descriptor lies on, read-only."""
    _restrict(path, "ro", recursive)


def make_nodev(path: str | int) -> None:
    """Lets no device be opened on the mount at a path, or on the one a descriptor lies on."""
    _restrict(path, "nodev", False)


def _restrict(path: str | int, attribute: str, recursive: bool) -> None:
    fd = path if isinstance(path, int) else os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        change = [_ATTRIBUTES[attribute][0], 0]
        _setattr(fd, change, 0, _AT_RECURSIVE if recursive else 0, str(path))
    finally:
        if not isinstance(path, int):
            os.close(fd)


def set_propagation(path: str, name: str) -> None:
    """Changes how mounts and unmounts under `path` spread: "private", "rslave", ..."""
    result = _mount(None, os.fsencode(path), None, _PROPAGATION[name], None)
    libc.check(result, f"mount --make-{name}", path)


def unmount(path: str, *, detach: bool = False) -> None:
    """Unmounts `path`, waiting for users unless `detach`."""
    libc.check(_umount2(os.fsencode(path), MNT_DETACH if detach else 0), "umount", path)


def pivot_root(root_fd: int) -> None:
    """Makes the mount the descriptor stands on the root; the old root is gone afterwards.

    The old root is stacked on the new one and detached, so that no directory has to be made
    (pivot_root(2), "pivot_root(".", ".")").
    """
    os.fchdir(root_fd)
    libc.check(_pivot_root(b".", b"."), "pivot_root")
    unmount(".", detach=True)
    os.chdir("/")


def _mount_long_overlay(mount: Mount, where: str, bits: int) -> None:
    """An overlay whose options exceed the page mount(2) gives them: see `linux.long_overlay`."""
    from kobako.linux import long_overlay

    base, lowers, rest = long_overlay.relative(mount.data, mount.target)
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(base)
        data = os.fsencode(",".join(["lowerdir=" + ":".join(lowers), *rest]))
        if len(data) < os.sysconf("SC_PAGESIZE") - 1:
            result = _mount(os.fsencode(mount.source), os.fsencode(where), b"overlay", bits, data)
            libc.check(result, "mount overlay", mount.target)
            return
        attributes = bits & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)  # the same bits in both
        tree = long_overlay.configured(lowers, rest, attributes, mount.target)
        try:
            move(tree, -1, where)
        finally:
            os.close(tree)
    finally:
        os.fchdir(here)
        os.close(here)
