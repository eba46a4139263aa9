"""Calls that make files: what an emulated user makes is its own, and a directory with the
set-group-id bit gives its group.

What root makes in an ordinary directory needs no record: the kernel does it. Everything else is
made here, in the caller's place, because its name must not be visible before its owner is.
"""

from __future__ import annotations

import errno
import os

from kobako.emulate.credentials import CAP_MKNOD
from kobako.emulate.inodes import S_IFMT, S_IFREG
from kobako.emulate.world import RESUME, SENT, World, still_there
from kobako.linux.notify import AT_FDCWD
from kobako.linux.ownership import Own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.emulate.credentials import Credentials
    from kobako.emulate.world import Answer
    from kobako.linux.notify import Listener

_S_ISGID = 0o2000
_S_IFDIR, _S_IFCHR, _S_IFBLK = 0o040000, 0o020000, 0o060000
_S_IFIFO, _S_IFSOCK = 0o010000, 0o140000


def owner_of_new(w: World, who: Credentials, place: bytes) -> Own | None:
    """Who will own a file made at `place`; None when that is root, as the kernel has it."""
    parent = os.path.dirname(place.rstrip(b"/")) or b"."
    return _owner_inside(w, who, parent)


def _owner_inside(w: World, who: Credentials, directory: bytes) -> Own | None:
    above = w.inodes.recorded(directory, True)
    if above is None and who.creates_as_root:
        return None
    inode = w.inodes.stat(directory, True)
    gid = who.fsgid
    if inode.mode & _S_ISGID:
        gid = inode.gid if above is None else above.gid
    return None if who.fsuid == 0 and gid == 0 else Own(who.fsuid, gid)


def open_(w: World, c: Listener, directory: int, path_at: int, flags: int, mode: int) -> int:
    """An open that may make a file."""
    flags &= 0xFFFFFFFF
    if flags & os.O_PATH:
        return RESUME
    who = w.credentials.of(c.pid)
    place = w.paths.enter(c.pid, directory, _path(w, c, path_at))
    if not flags & os.O_CREAT:
        return _open_unnamed(w, c, who, place, flags, mode)
    return open_at(w, c, who, place, flags, mode)


def open_at(w: World, c: Listener, who: Credentials, place: bytes, flags: int, mode: int) -> int:
    """The same with a path of ours."""
    own = owner_of_new(w, who, place)
    if own is None or os.path.lexists(place):
        return RESUME
    _take_umask(w, c)
    still_there(c)
    try:
        fd = os.open(place, flags | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode & 0o7777)
    except FileExistsError:
        return RESUME
    try:
        w.inodes.created(place, own)
        c.finish_with_fd(fd, cloexec=bool(flags & os.O_CLOEXEC))
    finally:
        os.close(fd)
    return SENT


def _open_unnamed(
    w: World, c: Listener, who: Credentials, place: bytes, flags: int, mode: int
) -> int:
    if flags & os.O_TMPFILE != os.O_TMPFILE:
        return RESUME
    own = _owner_inside(w, who, place)
    if own is None:
        return RESUME
    _take_umask(w, c)
    still_there(c)
    fd = os.open(place, flags | os.O_CLOEXEC, mode & 0o7777)
    try:
        w.inodes.created_unnamed(fd, own)
        c.finish_with_fd(fd, cloexec=bool(flags & os.O_CLOEXEC))
    finally:
        os.close(fd)
    return SENT


def _make_directory(w: World, c: Listener, directory: int, path_at: int, mode: int) -> int:
    who = w.credentials.of(c.pid)
    place = w.paths.enter(c.pid, directory, _path(w, c, path_at))
    own = owner_of_new(w, who, place)
    if own is None:
        return RESUME
    _take_umask(w, c)
    still_there(c)
    os.mkdir(place, mode & 0o7777)
    w.inodes.created(place.rstrip(b"/"), own)
    return 0


def _make_link(w: World, c: Listener, target_at: int, directory: int, path_at: int) -> int:
    who = w.credentials.of(c.pid)
    place = w.paths.enter(c.pid, directory, _path(w, c, path_at))
    own = owner_of_new(w, who, place)
    if own is None:
        return RESUME
    target = _path(w, c, target_at)
    still_there(c)
    os.symlink(target, place)
    w.inodes.created(place, own)
    return 0


def _make_node(w: World, c: Listener, directory: int, path_at: int, mode: int, rdev: int) -> int:
    who = w.credentials.of(c.pid)
    kind = mode & S_IFMT or S_IFREG
    device = kind in (_S_IFCHR, _S_IFBLK)
    if device and not w.credentials.can(c.pid, who, CAP_MKNOD):
        raise OSError(errno.EPERM, "mknod")
    if not device and kind not in (S_IFREG, _S_IFIFO, _S_IFSOCK):
        return RESUME  # EINVAL, EPERM
    place = w.paths.enter(c.pid, directory, _path(w, c, path_at))
    own = owner_of_new(w, who, place)
    if device:
        own = (own or Own(0, 0)).replace(type=kind, rdev=rdev & 0xFFFFFFFF)
    if own is None:
        return RESUME
    _take_umask(w, c)
    still_there(c)
    os.mknod(place, mode & 0o7777 | (S_IFREG if device else kind))
    w.inodes.created(place, own)
    return 0


def _path(w: World, c: Listener, at: int) -> bytes:
    path = w.memory.string(c.pid, at)
    if not path:
        raise OSError(errno.ENOENT, "path")
    return path


def _take_umask(w: World, c: Listener) -> None:
    """The umask rather than a masked mode: a default ACL of the directory overrides it."""
    os.umask(w.paths.umask(c.pid))


ANSWERS: dict[str, Answer] = {
    "open": lambda w, c: open_(w, c, AT_FDCWD, c.args[0], c.args[1], c.args[2]),
    "creat": lambda w, c: open_(
        w, c, AT_FDCWD, c.args[0], os.O_CREAT | os.O_WRONLY | os.O_TRUNC, c.args[1]
    ),
    "openat": lambda w, c: open_(w, c, c.args[0], c.args[1], c.args[2], c.args[3]),
    "mkdir": lambda w, c: _make_directory(w, c, AT_FDCWD, c.args[0], c.args[1]),
    "mkdirat": lambda w, c: _make_directory(w, c, c.args[0], c.args[1], c.args[2]),
    "symlink": lambda w, c: _make_link(w, c, c.args[0], AT_FDCWD, c.args[1]),
    "symlinkat": lambda w, c: _make_link(w, c, c.args[0], c.args[1], c.args[2]),
    "mknod": lambda w, c: _make_node(w, c, AT_FDCWD, c.args[0], c.args[1], c.args[2]),
    "mknodat": lambda w, c: _make_node(w, c, c.args[0], c.args[1], c.args[2], c.args[3]),
}
