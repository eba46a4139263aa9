"""The answers for which a look is enough, given where the container is watched anyway.

Many a program only asks who it is and whose some files are. As long as nobody in the container has
become another or given anything away, the kernel's own answers hold, but for files that say
otherwise themselves. So a supervisor, one process more that must be forked and loaded (a sixth of
what the shortest `run` takes), is not there before something asks for it.
"""

from __future__ import annotations

import errno
import os
import stat

from kobako.emulate import control
from kobako.emulate.memory import Memory
from kobako.emulate.world import RESUME
from kobako.linux import inroot, libc
from kobako.linux.notify import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Listener
from kobako.linux.ownership import XATTR, XATTR_PREFIX
from kobako.linux.syscalls import machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
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


class Lookout:
    """Answers what a container asks, without being in it, until it cannot.

    It belongs to a process that may look at the container's files through /proc. `descriptors` are
    to be waited for; `answer` is called when one can be read. When that returns False a supervisor
    takes over: it is forked from here, and `close` called on this side.
    """

    def __init__(self, init_pid: int, control_socket: str) -> None:
        self.server: _socket.socket = control.listen(control_socket)
        self.listener: Listener | None = None
        self.waiting = False
        """Whether the listener has received a call that is not answered."""
        self._init_pid = init_pid
        self._root = -1
        self._left = _LIMIT
        self._memory = Memory()
        by_name = _looks(self)
        numbers = machine().numbers
        self._looks = {numbers[name]: look for name, look in by_name.items() if name in numbers}

    def take(self, listener_fd: int) -> None:
        """From now on the calls of that listener are answered. The container's first process has
        the root it is to have."""
        self.listener = Listener(listener_fd)
        self.listener.sync_wake_up()
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            self._root = os.open(b"/proc/%d/root" % self._init_pid, flags)
        except OSError:
            pass  # it has ended

    @property
    def descriptors(self) -> list[int]:
        own = [self.server.fileno()]
        return own if self.listener is None else [self.listener.fd, *own]

    def answer(self, fd: int) -> bool:
        """False when a supervisor has to; what was asked is not lost."""
        call = self.listener
        if call is None or fd != call.fd or not self._left:
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
        if self.waiting and self.listener is not None:
            self.waiting = False
            self.listener.finish(0, errno.EAGAIN)

    def close(self) -> None:
        """Lets go of everything; a supervisor that was forked has it too."""
        self.server.close()
        if self.listener is not None:
            os.close(self.listener.fd)
        if self._root >= 0:
            os.close(self._root)

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


def _looks(of: Lookout) -> dict[str, Look]:
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
