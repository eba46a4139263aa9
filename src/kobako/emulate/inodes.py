"""What files are said to be: owners and device types recorded beside what the kernel knows.

Files and directories carry the xattr `user.kobako.own`. What cannot (symbolic links, FIFOs,
sockets; files on filesystems without user xattrs) is kept in memory under (device, inode, birth
time), and, where it lies on the container's root mount, in the owners table on disk.
"""

from __future__ import annotations

import errno
import os

from kobako.errors import Corrupt
from kobako.linux import libc
from kobako.linux.notify import AT_SYMLINK_NOFOLLOW
from kobako.linux.ownership import SHADOW_PREFIX, XATTR, Own
from kobako.linux.syscalls import machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.emulate.caller import Paths
    from kobako.emulate.journal import Journal

    Glance = tuple[int, int, int]
    """The mode of a file, its owner as the kernel knows it, the mount it was seen on."""

S_IFMT = 0o170000
S_IFREG = 0o100000
S_IFDIR = 0o040000
KEEP = 0xFFFFFFFF

_XATTR = XATTR.encode()
_CAPABILITY = (SHADOW_PREFIX + "security.capability").encode()
_get_args = (libc.c_char_p, libc.c_char_p, libc.c_void_p, libc.c_ulong)
_getxattr = libc.function("getxattr", libc.c_long, *_get_args)
_lgetxattr = libc.function("lgetxattr", libc.c_long, *_get_args)
_removexattr = libc.function("removexattr", libc.c_int, libc.c_char_p, libc.c_char_p)
_lremovexattr = libc.function("lremovexattr", libc.c_int, libc.c_char_p, libc.c_char_p)

_STATX_BASIC_BTIME_MNT = 0x7FF | 0x800 | 0x1000
_STATX_TYPE_MODE_UID_MNT = 0x1 | 0x2 | 0x8 | 0x1000
_NO_USER_XATTR = (errno.EOPNOTSUPP, errno.EPERM, errno.ENOSPC, errno.E2BIG)


class Inode:
    """What statx says of a file, as the kernel sees it."""

    __slots__ = ("birth", "device", "gid", "ino", "links", "mode", "mount", "uid")

    def __init__(self, words: memoryview, quads: memoryview, halves: memoryview) -> None:
        self.links: int = words[4]
        self.uid: int = words[5]
        self.gid: int = words[6]
        self.mode: int = halves[14]
        self.ino: int = quads[4]
        self.birth: int = quads[10] * 1_000_000_000 + words[22]
        self.device: int = quads[17]
        self.mount: int = quads[18]

    @property
    def carries_xattrs(self) -> bool:
        return self.mode & S_IFMT in (S_IFREG, S_IFDIR)


class Special:
    """The owner of an inode that cannot say it itself. `path`: where it was seen, if in the tree"""

    __slots__ = ("birth", "own", "path")

    def __init__(self, own: Own, birth: int, path: bytes | None) -> None:
        self.own = own
        self.birth = birth
        self.path = path


class Inodes:
    """The records of a container's files. Paths are ours (`Paths.enter`)."""

    _LIMIT = 1 << 18

    def __init__(self, paths: Paths, journal: Journal) -> None:
        self._paths = paths
        self._journal = journal
        self.specials: dict[tuple[int, int], Special] = {}
        self._value = libc.buffer(64)
        self._value_at = libc.addressof(self._value)
        self._value_bytes = memoryview(self._value).cast("B")
        self._decoded: dict[bytes, Own | None] = {}
        self._statx_nr = machine().numbers["statx"]
        self._statx = libc.function(
            "syscall",
            libc.c_long,
            libc.c_long,
            libc.c_long,
            libc.c_char_p,
            libc.c_long,
            libc.c_long,
            libc.c_void_p,
        )
        self._statx_buffer = libc.buffer(256)
        self._statx_at = libc.addressof(self._statx_buffer)
        view = memoryview(self._statx_buffer).cast("B")
        self._words, self._quads, self._halves = view.cast("I"), view.cast("Q"), view.cast("H")
        self.root_mount = self.stat(b"/", True).mount

    def stat(self, path: bytes, follow: bool) -> Inode:
        flags = 0 if follow else AT_SYMLINK_NOFOLLOW
        nr, mask = self._statx_nr, _STATX_BASIC_BTIME_MNT
        if self._statx(nr, -100, path, flags, mask, self._statx_at) < 0:
            raise OSError(libc.get_errno(), "statx")
        return Inode(self._words, self._quads, self._halves)

    def glance(self, path: bytes, follow: bool) -> Glance | None:
        """The least of `stat`; None when there is nothing at `path`."""
        flags = 0 if follow else AT_SYMLINK_NOFOLLOW
        mask = _STATX_TYPE_MODE_UID_MNT
        if self._statx(self._statx_nr, -100, path, flags, mask, self._statx_at) < 0:
            number = libc.get_errno()
            if number == errno.ENOENT:
                return None
            raise OSError(number, "statx")
        return self._halves[14], self._words[5], self._quads[18]

    def recorded(self, path: bytes, follow: bool) -> Own | None:
        """What is recorded for the file at `path`; None when nothing is, or there is no file."""
        get = _getxattr if follow else _lgetxattr
        size = get(path, _XATTR, self._value_at, 64)
        if size > 0:
            return self._decode(bytes(self._value_bytes[:size]))
        if not self.specials:
            return None
        try:
            return self._special(self.stat(path, follow))
        except OSError:
            return None

    def owner(self, path: bytes, follow: bool) -> Own:
        """Who owns `path`, recorded or as the kernel says; `OSError` when there is no such file."""
        own = self.recorded(path, follow)
        if own is not None:
            return own
        inode = self.stat(path, follow)
        return Own(inode.uid, inode.gid)

    def change_owner(self, path: bytes, follow: bool, uid: int, gid: int) -> None:
        """chown: KEEP leaves an id as it is."""
        # The kernel's own chown to what it already is: fails where it must (EROFS, ENOENT), copies
        # a lower file up as root's would, clears set-id bits and marks the change time.
        native = (-1 if uid == KEEP else 0, -1 if gid == KEEP else 0)
        os.chown(path, *native, follow_symlinks=follow)
        inode = self.stat(path, follow)
        old = self.recorded(path, follow)
        before = old or Own(inode.uid, inode.gid)
        own = before.replace(
            uid=before.uid if uid == KEEP else uid, gid=before.gid if gid == KEEP else gid
        )
        if own != (old or Own(0, 0)):
            self._put(path, follow, inode, own, old)
        if inode.mode & S_IFMT == S_IFREG:
            (_removexattr if follow else _lremovexattr)(path, _CAPABILITY)

    def created(self, path: bytes, own: Own) -> None:
        """Records the owner of what was just made at `path`."""
        self._put(path, False, self.stat(path, False), own, None)

    def _put(self, path: bytes, follow: bool, inode: Inode, own: Own, old: Own | None) -> None:
        plain = own.uid == 0 and own.gid == 0 and not own.type
        if inode.carries_xattrs:
            try:
                if not plain:
                    os.setxattr(path, XATTR, own.encode(), follow_symlinks=follow)
                elif old is not None:
                    os.removexattr(path, XATTR, follow_symlinks=follow)
                return
            except OSError as e:
                if e.errno not in _NO_USER_XATTR and e.errno != errno.ENODATA:
                    raise
        key = (inode.device, inode.ino)
        if plain:
            gone = self.specials.pop(key, None)
            if gone is not None and gone.path is not None:
                self._journal.write(gone.path, None)
            return
        if len(self.specials) >= self._LIMIT:
            raise OSError(errno.ENOSPC, "too many owners kept in memory")
        name = None
        if inode.mount == self.root_mount and not inode.carries_xattrs:
            absolute = self._paths.absolute(path, follow)
            if absolute[:1] == b"/":  # else it was removed, or lies outside the container's root
                name = absolute[1:]
                self._journal.write(name, (own.uid, own.gid))
        self.specials[key] = Special(own, inode.birth, name)

    def _special(self, inode: Inode) -> Own | None:
        special = self.specials.get((inode.device, inode.ino))
        if special is None:
            return None
        return special.own if special.birth == inode.birth else None

    def _decode(self, value: bytes) -> Own | None:
        try:
            return self._decoded[value]
        except KeyError:
            pass
        try:
            said = Own.decode(value)
            own = said if max(said.uid, said.gid, said.rdev) < KEEP else None
        except Corrupt:  # a volume's file may carry anything; it then says nothing
            own = None
        if len(self._decoded) > 4096:
            self._decoded.clear()
        self._decoded[value] = own
        return own

    def restore(self, name: bytes, own: Own) -> None:
        """Takes up an entry of the owners table; `name` is relative to the root."""
        try:
            inode = self.stat(b"/" + name, False)
        except OSError:
            return
        if not inode.carries_xattrs:
            self.specials[inode.device, inode.ino] = Special(own, inode.birth, name)

    def special_at(self, name: bytes) -> tuple[tuple[int, int], int] | None:
        """(key, links) of the recorded special file now at `name`; None when another is there."""
        try:
            inode = self.stat(b"/" + name, False)
        except OSError:
            return None
        key = (inode.device, inode.ino)
        special = self.specials.get(key)
        if special is None or special.birth != inode.birth:
            return None
        return key, inode.links

    def name_of(self, key: tuple[int, int]) -> bytes:
        return self.specials[key].path or b""

    def created_unnamed(self, fd: int, own: Own) -> None:
        """Records the owner of a file that has no name yet (O_TMPFILE)."""
        os.setxattr(fd, XATTR, own.encode())
