"""The stat family: the kernel's answer with recorded owners and device numbers put in."""

from __future__ import annotations

import os
from struct import Struct

from kobako.emulate.inodes import S_IFMT
from kobako.emulate.world import RESUME, World, still_there
from kobako.linux import libc
from kobako.linux.notify import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW
from kobako.linux.syscalls import machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.emulate.world import Answer
    from kobako.linux.notify import Listener
    from kobako.linux.ownership import Own

_KEPT_FLAGS = 0x6900  # AT_SYMLINK_NOFOLLOW, AT_NO_AUTOMOUNT, AT_STATX_SYNC_TYPE
_u16, _u32, _two_u32, _u64 = Struct("<H"), Struct("<I"), Struct("<II"), Struct("<Q")


class _StatLayout:
    """Where a machine's `struct stat` keeps what is replaced (asm/stat.h)."""

    def __init__(self, name: str) -> None:
        self.size, self.mode, self.uid, self.rdev = {
            "x86_64": (144, 24, 28, 40),
            "aarch64": (128, 16, 24, 32),
        }[name]


class Stat:
    """Answers for every call of the family, in `answers` by name."""

    def __init__(self) -> None:
        this = machine()
        self._layout = _StatLayout(this.name)
        self._stat_nr = this.numbers["newfstatat"]
        self._statx_nr = this.numbers["statx"]
        number, pointer, text = libc.c_long, libc.c_void_p, libc.c_char_p
        self._fstatat = libc.function("syscall", number, number, number, text, pointer, number)
        self._statx = libc.function(
            "syscall", number, number, number, text, number, number, pointer
        )
        self._buffer = libc.buffer(256)
        self._at = libc.addressof(self._buffer)
        self.answers: dict[str, Answer] = {
            "stat": lambda w, c: self._path(w, c, AT_FDCWD, c.args[0], c.args[1], 0),
            "lstat": lambda w, c: self._path(
                w, c, AT_FDCWD, c.args[0], c.args[1], AT_SYMLINK_NOFOLLOW
            ),
            "fstat": lambda w, c: self._path(w, c, c.args[0], 0, c.args[1], AT_EMPTY_PATH),
            "newfstatat": lambda w, c: self._path(w, c, c.args[0], c.args[1], c.args[2], c.args[3]),
            "statx": lambda w, c: self._path(
                w, c, c.args[0], c.args[1], c.args[4], c.args[2], c.args[3]
            ),
        }

    def _path(
        self,
        w: World,
        c: Listener,
        directory: int,
        path_at: int,
        out: int,
        flags: int,
        mask: int = -1,
    ) -> int:
        """`mask` is statx's; -1 for the calls that fill a `struct stat`. Whatever goes wrong here
        the kernel finds out too, and says better."""
        try:
            path = w.memory.string(c.pid, path_at) if path_at else b""
            if path:
                follow = not flags & AT_SYMLINK_NOFOLLOW
            elif flags & AT_EMPTY_PATH:
                follow = True  # of the link in /proc/PID/fd: what the descriptor is open on
            else:
                return RESUME
            place = w.paths.enter(c.pid, directory, path)
            own = w.inodes.recorded(place, follow)
        except OSError:
            return RESUME
        if own is None:
            return RESUME
        flags &= _KEPT_FLAGS
        flags = flags & ~AT_SYMLINK_NOFOLLOW if follow else flags | AT_SYMLINK_NOFOLLOW
        if mask == -1:
            if self._fstatat(self._stat_nr, -100, place, self._at, flags) < 0:
                return RESUME
            size = self._patch_stat(own)
        else:
            if self._statx(self._statx_nr, -100, place, flags, mask & 0xFFFFFFFF, self._at) < 0:
                return RESUME
            size = self._patch_statx(own)
        still_there(c)
        w.memory.write_from(c.pid, out, self._at, size)
        return 0

    def _patch_stat(self, own: Own) -> int:
        buffer, layout = self._buffer, self._layout
        _two_u32.pack_into(buffer, layout.uid, own.uid, own.gid)
        if own.type:
            (mode,) = _u32.unpack_from(buffer, layout.mode)
            _u32.pack_into(buffer, layout.mode, (mode & ~S_IFMT) | (own.type & S_IFMT))
            _u64.pack_into(buffer, layout.rdev, own.rdev)
        return layout.size

    def _patch_statx(self, own: Own) -> int:
        buffer = self._buffer
        _two_u32.pack_into(buffer, 20, own.uid, own.gid)
        if own.type:
            (mode,) = _u16.unpack_from(buffer, 28)
            _u16.pack_into(buffer, 28, (mode & ~S_IFMT) | (own.type & S_IFMT))
            _two_u32.pack_into(buffer, 128, os.major(own.rdev), os.minor(own.rdev))
        return 256
