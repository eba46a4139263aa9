"""The answers for which a look is enough, from outside of the container.

As long as nobody in it has become another or given anything away, the kernel's own answers hold,
but for files that say otherwise themselves.
"""

from __future__ import annotations

import errno
import os
import stat

from kobako.emulate.memory import Memory
from kobako.emulate.world import RESUME
from kobako.linux import inroot, libc
from kobako.linux.notify import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Listener
from kobako.linux.ownership import XATTR, XATTR_PREFIX
from kobako.linux.syscalls import machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Look = Callable[[Listener], int | None]
    """What the call returns, or `RESUME`; None where a look is not enough."""

_LIMIT = 256  # who asks more than this keeps a supervisor busy
_XATTR, _HIDDEN = XATTR.encode(), XATTR_PREFIX.encode()
_GROUPS = bytes(4)  # gid_t[]
_SET_ID, _S_IFMT = stat.S_ISUID | stat.S_ISGID, 0o170000

_getxattr = libc.function(
    "getxattr", libc.c_long, libc.c_char_p, libc.c_char_p, libc.c_void_p, libc.c_ulong
)


class Looks:
    """Answers the calls of a listener, whose container has its root at the descriptor `root` (-1:
    it has ended). `waiting`: it has received one that is not answered."""

    def __init__(self, listener_fd: int, root: int) -> None:
        self.listener = Listener(listener_fd)
        self.listener.sync_wake_up()
        self.waiting = False
        self._root = root
        self._left = _LIMIT
        self._memory = Memory()
        by_name = _looks(self)
        numbers = machine().numbers
        self._looks = {numbers[name]: look for name, look in by_name.items() if name in numbers}

    def answer(self) -> bool:
        """False when a supervisor has to; what was asked is not lost."""
        call = self.listener
        if not self._left:
            return False
        if not call.receive():
            return True
        self._left -= 1
        value = None
        look = self._looks.get(call.nr)
        if look is not None:
            try:
                value = look(call)
            except Exception:  # whoever is in the container can say more; it must not end us
                pass
        if value is None:
            self.waiting = True
            return False
        if value == RESUME:
            call.resume()
        else:
            call.finish(value)
        return True

    def refuse(self) -> None:
        """There can be no supervisor now: what has been received fails (EAGAIN)."""
        if self.waiting:
            self.waiting = False
            self.listener.finish(0, errno.EAGAIN)

    def stat(self, call: Listener, directory: int, path_at: int, flags: int) -> int | None:
        path = self._memory.string(call.pid, path_at) if path_at else b""
        if not path and not flags & AT_EMPTY_PATH:
            return RESUME
        return self._look(call, directory, path, not flags & AT_SYMLINK_NOFOLLOW)

    def execute(self, call: Listener, directory: int, path_at: int, flags: int) -> int | None:
        path = self._memory.string(call.pid, path_at)
        if not path and not flags & AT_EMPTY_PATH:
            return RESUME
        return self._look(call, directory, path, not flags & AT_SYMLINK_NOFOLLOW, unless=_SET_ID)

    def make(self, call: Listener, directory: int, path_at: int, kind: int = 0) -> int | None:
        """What root makes is root's, where the directory is."""
        path = self._memory.string(call.pid, path_at)
        if not path:
            return RESUME
        if kind & _S_IFMT in (stat.S_IFCHR, stat.S_IFBLK):
            return None
        above, slash, _ = path.rstrip(b"/").rpartition(b"/")
        return self._look(call, directory, above or slash or b".", True)

    def open(self, call: Listener, directory: int, path_at: int, flags: int) -> int | None:
        if flags & os.O_CREAT and not flags & os.O_PATH:
            return self.make(call, directory, path_at)
        return None

    def attribute(self, call: Listener) -> int | None:
        """An extended attribute that is neither ours nor kept by us."""
        name = self._memory.string(call.pid, call.args[1])
        return None if name.startswith((_HIDDEN, b"security.capability")) else RESUME

    def groups(self, call: Listener) -> int | None:
        """Those of `ROOT`; the kernel still has those outside."""
        room = call.args[0] & 0xFFFFFFFF
        if room >= 1 << 31 or not call.valid():
            return None
        if room:
            self._memory.write(call.pid, call.args[1], _GROUPS)
        return len(_GROUPS) // 4

    def _look(
        self, call: Listener, directory: int, path: bytes, follow: bool, *, unless: int = 0
    ) -> int | None:
        """The kernel is right about a file at which nothing is recorded, nor is any of the mode's
        bits in `unless` set; and about a file that is not there."""
        directory &= 0xFFFFFFFF
        number = b"cwd" if directory == AT_FDCWD else b"fd/%d" % directory
        place, opened = b"/proc/%d/%b" % (call.pid, number), -1
        try:
            if path:
                opened = self._open(place, path, follow)
                place = b"/proc/self/fd/%d" % opened
            if _getxattr(place, _XATTR, None, 0) > 0:
                return None
            if unless and os.stat(place).st_mode & unless:
                return None
        except (FileNotFoundError, NotADirectoryError):
            pass
        finally:
            if opened >= 0:
                os.close(opened)
        return RESUME

    def _open(self, start: bytes, path: bytes, follow: bool) -> int:
        """A descriptor of what a path of the container's means there, if that can be told from
        outside. In /proc and /dev are links that mean something else to everybody."""
        flags = os.O_PATH if follow else os.O_PATH | os.O_NOFOLLOW
        if path[:1] == b"/":
            personal = path.startswith((b"/proc/", b"/dev/"))
            return inroot.open_in_root(self._root, path, flags, symlinks=not personal)
        at = os.open(start, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return inroot.open_beneath(at, path, flags)
        finally:
            os.close(at)


def _resume(call: Listener) -> int:
    return RESUME


def _looks(of: Looks) -> dict[str, Look]:
    """Who only root has ever been, the kernel too says is root."""
    look, execute, make = of.stat, of.execute, of.make
    own = "capget capset getuid geteuid getgid getegid getresuid getresgid"
    attributes = [
        f"{way}{what}xattr" for way in ("", "l", "f") for what in ("get", "set", "remove")
    ]
    return {
        **dict.fromkeys(own.split(), _resume),
        **dict.fromkeys(attributes, of.attribute),
        "getgroups": of.groups,
        "stat": lambda c: look(c, AT_FDCWD, c.args[0], 0),
        "lstat": lambda c: look(c, AT_FDCWD, c.args[0], AT_SYMLINK_NOFOLLOW),
        "fstat": lambda c: look(c, c.args[0], 0, AT_EMPTY_PATH),
        "newfstatat": lambda c: look(c, c.args[0], c.args[1], c.args[3]),
        "statx": lambda c: look(c, c.args[0], c.args[1], c.args[2]),
        "execve": lambda c: execute(c, AT_FDCWD, c.args[0], 0),
        "execveat": lambda c: execute(c, c.args[0], c.args[1], c.args[4]),
        "open": lambda c: of.open(c, AT_FDCWD, c.args[0], c.args[1]),
        "openat": lambda c: of.open(c, c.args[0], c.args[1], c.args[2]),
        "creat": lambda c: make(c, AT_FDCWD, c.args[0]),
        "mkdir": lambda c: make(c, AT_FDCWD, c.args[0]),
        "mkdirat": lambda c: make(c, c.args[0], c.args[1]),
        "symlink": lambda c: make(c, AT_FDCWD, c.args[1]),
        "symlinkat": lambda c: make(c, c.args[1], c.args[2]),
        "mknod": lambda c: make(c, AT_FDCWD, c.args[0], c.args[1]),
        "mknodat": lambda c: make(c, c.args[0], c.args[1], c.args[2]),
    }
