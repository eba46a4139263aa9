"""Extended attributes: `user.kobako.*` is hidden, `security.capability` is kept in a shadow of it.

Without this `cp --preserve=xattr` would copy a file's recorded owner to the copy.
"""

from __future__ import annotations

import errno
import os

from kobako.emulate.credentials import CAP_SETFCAP
from kobako.emulate.world import RESUME, World, still_there
from kobako.linux.notify import AT_FDCWD
from kobako.linux.ownership import SHADOW_PREFIX, XATTR_PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.emulate.world import Answer
    from kobako.linux.notify import Listener

_HIDDEN = XATTR_PREFIX.encode()
_SHADOWED = b"security.capability"
_SHADOW = SHADOW_PREFIX.encode() + _SHADOWED
_NAME_MAX = 256
_SIZE_MAX = 65536


def _name(w: World, c: Listener) -> bytes:
    """The attribute's name, if it is one of ours; b"" if the kernel should deal with it."""
    try:
        name = w.memory.string(c.pid, c.args[1], _NAME_MAX)
    except OSError:
        return b""
    return name if name == _SHADOWED or name.startswith(_HIDDEN) else b""


def _place(w: World, c: Listener, by_fd: bool) -> bytes:
    if by_fd:
        return w.paths.descriptor(c.pid, c.args[0])
    return w.paths.enter(c.pid, AT_FDCWD, w.memory.string(c.pid, c.args[0]))


def _get(w: World, c: Listener, by_fd: bool, follow: bool) -> int:
    name = _name(w, c)
    if not name:
        return RESUME
    place = _place(w, c, by_fd)
    if name != _SHADOWED:
        raise OSError(errno.ENODATA, "hidden")
    try:
        value = os.getxattr(place, _SHADOW, follow_symlinks=follow)
    except OSError:
        return RESUME
    return _give(w, c, c.args[2], c.args[3], value)


def _set(w: World, c: Listener, by_fd: bool, follow: bool) -> int:
    name = _name(w, c)
    if not name:
        return RESUME
    who = w.credentials.of(c.pid)
    if name != _SHADOWED or not w.credentials.can(c.pid, who, CAP_SETFCAP):
        raise OSError(errno.EPERM, "setxattr")
    if c.args[3] > _SIZE_MAX:
        raise OSError(errno.E2BIG, "setxattr")
    value = w.memory.read(c.pid, c.args[2], c.args[3])
    place = _place(w, c, by_fd)
    still_there(c)
    os.setxattr(place, _SHADOW, value, c.args[4] & 0xFFFFFFFF, follow_symlinks=follow)
    return 0


def _remove(w: World, c: Listener, by_fd: bool, follow: bool) -> int:
    name = _name(w, c)
    if not name:
        return RESUME
    place = _place(w, c, by_fd)
    if name != _SHADOWED:
        raise OSError(errno.ENODATA, "hidden")
    still_there(c)
    try:
        os.removexattr(place, _SHADOW, follow_symlinks=follow)
    except OSError as e:
        if e.errno == errno.ENODATA:
            return RESUME
        raise
    return 0


def _list(w: World, c: Listener, by_fd: bool, follow: bool) -> int:
    place = _place(w, c, by_fd)
    names = os.listxattr(place, follow_symlinks=follow)
    ours = [n for n in names if n.startswith(XATTR_PREFIX)]
    if not ours:
        return RESUME
    shown = [n for n in names if n not in ours]
    if os.fsdecode(_SHADOW) in ours and os.fsdecode(_SHADOWED) not in shown:
        shown.append(os.fsdecode(_SHADOWED))
    value = b"".join(os.fsencode(n) + b"\0" for n in shown)
    return _give(w, c, c.args[1], c.args[2], value)


def _give(w: World, c: Listener, address: int, room: int, value: bytes) -> int:
    """The answer of getxattr and listxattr: a size of 0 asks how much room is needed."""
    if room:
        if room < len(value):
            raise OSError(errno.ERANGE, "xattr")
        if value:
            still_there(c)
            w.memory.write(c.pid, address, value)
    return len(value)


ANSWERS: dict[str, Answer] = {
    "getxattr": lambda w, c: _get(w, c, False, True),
    "lgetxattr": lambda w, c: _get(w, c, False, False),
    "fgetxattr": lambda w, c: _get(w, c, True, True),
    "setxattr": lambda w, c: _set(w, c, False, True),
    "lsetxattr": lambda w, c: _set(w, c, False, False),
    "fsetxattr": lambda w, c: _set(w, c, True, True),
    "removexattr": lambda w, c: _remove(w, c, False, True),
    "lremovexattr": lambda w, c: _remove(w, c, False, False),
    "fremovexattr": lambda w, c: _remove(w, c, True, True),
    "listxattr": lambda w, c: _list(w, c, False, True),
    "llistxattr": lambda w, c: _list(w, c, False, False),
    "flistxattr": lambda w, c: _list(w, c, True, True),
}
