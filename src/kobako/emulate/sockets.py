"""Unix sockets: who made one, and who is at the other end."""

from __future__ import annotations

import os
from struct import pack, unpack

from kobako.emulate.create import owner_of_new
from kobako.emulate.world import RESUME, World, still_there
from kobako.linux import libc
from kobako.linux.notify import AT_FDCWD
from kobako.linux.syscalls import machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from kobako.emulate.world import Answer
    from kobako.linux.notify import Listener

_AF_UNIX = 1
_SUN_PATH = 108
_SO_PEERCRED = 17


def _bind(w: World, c: Listener) -> int:
    """A socket bound to a path is a file, and the file is its maker's."""
    size = c.args[2] & 0xFFFFFFFF
    if not 2 < size <= 2 + _SUN_PATH:
        return RESUME
    address = w.memory.read(c.pid, c.args[1], size)
    path = address[2:].split(b"\0", 1)[0]
    if unpack("<H", address[:2])[0] != _AF_UNIX or not path:
        return RESUME
    who = w.credentials.of(c.pid)
    place = w.paths.enter(c.pid, AT_FDCWD, path)
    own = owner_of_new(w, who, place)
    if own is None or len(place) >= _SUN_PATH:
        return RESUME
    socket = _copy(w, c)
    try:
        os.umask(w.paths.umask(c.pid))
        still_there(c)
        socket.bind(place)
        w.inodes.created(place, own)
    finally:
        socket.close()
    return 0


def _peer(w: World, c: Listener) -> int:
    """SO_PEERCRED: the emulated ids of the peer, as it is now, in place of the kernel's 0."""
    room = unpack("<I", w.memory.read(c.pid, c.args[4], 4))[0]
    if room < 12:
        return RESUME
    socket = _copy(w, c)
    try:
        pid, uid, gid = unpack("<3i", socket.getsockopt(1, _SO_PEERCRED, 12))
    finally:
        socket.close()
    if pid <= 0 or uid != 0 or gid != 0:
        return RESUME
    who = w.credentials.of(pid)
    still_there(c)
    answer = pack("<3I", w.paths.pid_in_container(pid), who.euid, who.egid)
    w.memory.write(c.pid, c.args[3], answer)
    w.memory.write(c.pid, c.args[4], pack("<I", 12))
    return 0


def _copy(w: World, c: Listener) -> _socket.socket:
    """The caller's socket, the descriptor in the first argument, as one of ours."""
    import _socket

    numbers = machine().numbers
    process = os.pidfd_open(int(w.paths.status(c.pid)[b"Tgid"]))
    try:
        fd = libc.syscall(
            numbers["pidfd_getfd"], process, c.args[0] & 0x7FFFFFFF, 0, what="pidfd_getfd"
        )
    finally:
        os.close(process)
    return _socket.socket(fileno=fd)


def _else_native(answer: Answer) -> Answer:
    """Where this cannot be done (no pidfd_getfd, a dead peer) the kernel's answer must do."""

    def attempt(w: World, c: Listener) -> int:
        try:
            return answer(w, c)
        except OSError:
            return RESUME

    return attempt


ANSWERS: dict[str, Answer] = {"bind": _bind, "getsockopt": _else_native(_peer)}
