"""The chown and chmod families."""

from __future__ import annotations

import errno
import os

from kobako.emulate.credentials import CAP_CHOWN, CAP_FOWNER, KEEP
from kobako.emulate.world import RESUME, World, still_there
from kobako.linux.notify import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.emulate.credentials import Credentials
    from kobako.emulate.world import Answer
    from kobako.linux.notify import Listener


def _change_owner(
    w: World, c: Listener, directory: int, path_at: int, uid: int, gid: int, flags: int
) -> int:
    if flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW):
        return RESUME  # EINVAL
    place, follow = _place(w, c, directory, path_at, flags)
    uid, gid = uid & KEEP, gid & KEEP
    who = w.credentials.of(c.pid)
    try:
        _may_change_owner(w, c, who, place, follow, uid, gid)
    except FileNotFoundError:
        if not follow:
            raise
        # Perhaps a link to /proc/self/fd/1, as log files in images are.
        place = w.paths.follow(c.pid, place)
        _may_change_owner(w, c, who, place, follow, uid, gid)
    still_there(c)
    w.inodes.change_owner(place, follow, uid, gid)
    return 0


def _may_change_owner(
    w: World, c: Listener, who: Credentials, place: bytes, follow: bool, uid: int, gid: int
) -> None:
    """chown(2): without CAP_CHOWN an owner may give a file to a group it is in, and no more."""
    own = w.inodes.owner(place, follow)
    if w.credentials.can(c.pid, who, CAP_CHOWN):
        return
    owns = own.uid == who.fsuid
    if uid not in (KEEP, own.uid) or not (owns or (uid == KEEP and gid == KEEP)):
        raise _refusal(place, follow, "chown")
    if gid not in (KEEP, own.gid) and not who.in_group(gid):
        raise _refusal(place, follow, "chgrp")


def _change_mode(w: World, c: Listener, directory: int, path_at: int, flags: int) -> int:
    """Only asks whether the caller may; the kernel then does it."""
    who = w.credentials.of(c.pid)
    if w.credentials.can(c.pid, who, CAP_FOWNER):
        return RESUME
    place, follow = _place(w, c, directory, path_at, flags)
    if w.inodes.owner(place, follow).uid != who.fsuid:
        raise _refusal(place, follow, "chmod")
    return RESUME


def _refusal(place: bytes, follow: bool, what: str) -> OSError:
    """Before the kernel looks at rights it says EROFS."""
    at = os.open(place, os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    try:
        read_only = os.fstatvfs(at).f_flag & os.ST_RDONLY
    finally:
        os.close(at)
    return OSError(errno.EROFS if read_only else errno.EPERM, what)


def _place(w: World, c: Listener, directory: int, path_at: int, flags: int) -> tuple[bytes, bool]:
    path = w.memory.string(c.pid, path_at) if path_at else b""
    if not path:
        if not flags & AT_EMPTY_PATH:
            raise OSError(errno.ENOENT if path_at else errno.EFAULT, "path")
        return w.paths.descriptor(c.pid, directory), True
    return w.paths.enter(c.pid, directory, path), not flags & AT_SYMLINK_NOFOLLOW


ANSWERS: dict[str, Answer] = {
    "chown": lambda w, c: _change_owner(w, c, AT_FDCWD, c.args[0], c.args[1], c.args[2], 0),
    "lchown": lambda w, c: _change_owner(
        w, c, AT_FDCWD, c.args[0], c.args[1], c.args[2], AT_SYMLINK_NOFOLLOW
    ),
    "fchown": lambda w, c: _change_owner(w, c, c.args[0], 0, c.args[1], c.args[2], AT_EMPTY_PATH),
    "fchownat": lambda w, c: _change_owner(
        w, c, c.args[0], c.args[1], c.args[2], c.args[3], c.args[4] & 0xFFFFFFFF
    ),
    "chmod": lambda w, c: _change_mode(w, c, AT_FDCWD, c.args[0], 0),
    "fchmod": lambda w, c: _change_mode(w, c, c.args[0], 0, AT_EMPTY_PATH),
    "fchmodat": lambda w, c: _change_mode(w, c, c.args[0], c.args[1], 0),
    "fchmodat2": lambda w, c: _change_mode(w, c, c.args[0], c.args[1], c.args[3]),
}
