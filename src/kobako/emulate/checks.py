"""What each call asks for, in the order in which the kernel asks.

Not asked: statfs, inotify_add_watch, connect to a socket's path, name_to_handle_at, the interpreter
a script names, and calls of 32-bit programs.
"""

from __future__ import annotations

import errno
from struct import unpack

from kobako.emulate.credentials import CAP_SYS_CHROOT
from kobako.emulate.inodes import S_IFMT, S_IFREG
from kobako.emulate.rights import EXECUTE, READ, SEARCH, WRITE, Found, Refused, Rights, Unjudged
from kobako.linux.notify import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.emulate.credentials import Credentials
    from kobako.emulate.world import World
    from kobako.linux.notify import Listener

    Check = Callable[[Rights, World, Listener, Credentials], object]
    """Raises `Refused`, `Unjudged` or an `OSError`, or lets the call pass."""

_AT_SYMLINK_FOLLOW = 0x400
_AT_REMOVEDIR = 0x200
_AF_UNIX = 1
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
_UTIME_NOW, _UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2


def find(
    r: Rights, w: World, c: Listener, who: Credentials, directory: int, at: int, follow: bool
) -> Found:
    """Where the path at address `at` leads; EACCES on the way there."""
    path = w.memory.string(c.pid, at)
    if not path:
        raise Unjudged
    return r.find(who, w.paths.enter(c.pid, directory, path), follow)


def _find_entry(
    r: Rights,
    w: World,
    c: Listener,
    who: Credentials,
    directory: int,
    at: int,
    *,
    may_end_in_slash: bool = False,
) -> Found:
    path = w.memory.string(c.pid, at)
    found = r.find_entry(who, w.paths.enter(c.pid, directory, path))
    if path[-1:] == b"/" and not may_end_in_slash:
        raise Unjudged  # EISDIR, ENOTDIR, ENOENT
    return found


def descriptor(r: Rights, w: World, c: Listener, number: int) -> Found:
    return r.descriptor(w.paths.descriptor(c.pid, number))


def _reaches(directory: int | None, at: int, follow: bool | None, flags: int = 0) -> Check:
    """Calls that only have to get at the file. The numbers are of arguments: of the directory
    (None: there is none), of the path, of the flags where `follow` is None."""

    def check(r: Rights, w: World, c: Listener, who: Credentials) -> None:
        follows = not c.args[flags] & AT_SYMLINK_NOFOLLOW if follow is None else follow
        find(
            r, w, c, who, AT_FDCWD if directory is None else c.args[directory], c.args[at], follows
        )

    return check


def _enters(r: Rights, w: World, c: Listener, who: Credentials) -> None:
    found = find(r, w, c, who, AT_FDCWD, c.args[0], True)
    if found.is_directory:
        r.require(who, found, SEARCH)


def _enters_descriptor(r: Rights, w: World, c: Listener, who: Credentials) -> None:
    found = descriptor(r, w, c, c.args[0])
    if found.is_directory:
        r.require(who, found, SEARCH)


def _changes_root(r: Rights, w: World, c: Listener, who: Credentials) -> None:
    _enters(r, w, c, who)
    w.paths.leave()
    if not w.credentials.can(c.pid, who, CAP_SYS_CHROOT):
        raise Refused(errno.EPERM)


def _truncates(r: Rights, w: World, c: Listener, who: Credentials) -> None:
    found = find(r, w, c, who, AT_FDCWD, c.args[0], True)
    if found.glance is not None and found.glance[0] & S_IFMT == S_IFREG:
        r.require(who, found, WRITE)


def _executes(directory: int | None, at: int, flags: int | None) -> Check:
    def check(r: Rights, w: World, c: Listener, who: Credentials) -> None:
        said = 0 if flags is None else c.args[flags]
        if said & AT_EMPTY_PATH and not w.memory.string(c.pid, c.args[at]):
            found = descriptor(r, w, c, c.args[0])
        else:
            start = AT_FDCWD if directory is None else c.args[directory]
            found = find(r, w, c, who, start, c.args[at], not said & AT_SYMLINK_NOFOLLOW)
        if found.glance is not None and found.glance[0] & S_IFMT == S_IFREG:
            r.require(who, found, EXECUTE)

    return check


def _makes_entry(directory: int | None, at: int, *, may_end_in_slash: bool = False) -> Check:
    def check(r: Rights, w: World, c: Listener, who: Credentials) -> None:
        start = AT_FDCWD if directory is None else c.args[directory]
        found = _find_entry(r, w, c, who, start, c.args[at], may_end_in_slash=may_end_in_slash)
        if found.glance is None:
            r.require_entry(who, found)

    return check


def _removes(directory: int | None, at: int, flags: int | None, removes_directory: bool) -> Check:
    def check(r: Rights, w: World, c: Listener, who: Credentials) -> None:
        start = AT_FDCWD if directory is None else c.args[directory]
        slash = removes_directory or (flags is not None and bool(c.args[flags] & _AT_REMOVEDIR))
        found = _find_entry(r, w, c, who, start, c.args[at], may_end_in_slash=slash)
        if found.glance is not None:
            r.require_removal(who, found)

    return check


def _two(directories: tuple[int, int] | None, c: Listener) -> tuple[int, int]:
    if directories is None:
        return AT_FDCWD, AT_FDCWD
    return c.args[directories[0]], c.args[directories[1]]


def _links(directories: tuple[int, int] | None, paths: tuple[int, int]) -> Check:
    def check(r: Rights, w: World, c: Listener, who: Credentials) -> None:
        first, second = _two(directories, c)
        follow = directories is not None and bool(c.args[4] & _AT_SYMLINK_FOLLOW)
        found = find(r, w, c, who, first, c.args[paths[0]], follow)
        if found.glance is None:
            return  # ENOENT
        # Before we leave the caller's directory, where the file is found by its path.
        refusal = _refusal(lambda: r.require_link(who, found))
        w.paths.leave()
        made = _find_entry(r, w, c, who, second, c.args[paths[1]])
        if made.glance is not None:
            return  # EEXIST
        if refusal is not None:
            raise refusal
        r.require_entry(who, made)

    return check


def _refusal(question: Callable[[], object]) -> Refused | None:
    try:
        question()
    except Refused as refusal:
        return refusal
    except (Unjudged, OSError):
        pass
    return None


def _renames(
    directories: tuple[int, int] | None, paths: tuple[int, int], flags: int | None = None
) -> Check:
    def check(r: Rights, w: World, c: Listener, who: Credentials) -> None:
        said = 0 if flags is None else c.args[flags]
        first, second = _two(directories, c)
        one = _find_entry(r, w, c, who, first, c.args[paths[0]], may_end_in_slash=True)
        gives_up = _refusal(lambda: r.require_removal(who, one))
        moves = one.is_directory and _refusal(lambda: r.require(who, one, WRITE))
        above = r.lineage(one.above) if one.above else []
        itself = r.identity(one.path) if one.glance is not None else None
        w.paths.leave()
        slash = one.is_directory
        if not slash and w.memory.string(c.pid, c.args[paths[0]])[-1:] == b"/":
            itself = None  # ENOTDIR
        other = _find_entry(r, w, c, who, second, c.args[paths[1]], may_end_in_slash=slash)
        if itself is None or not above or not other.above:
            return  # ENOENT, EBUSY
        beyond = r.lineage(other.above)
        target = r.identity(other.path) if other.glance is not None else None
        if target == itself or target in above or itself in beyond:
            return  # two names of one file, of which nothing becomes; ENOTEMPTY; EINVAL
        if said & _RENAME_NOREPLACE and target is not None:
            return  # EEXIST
        if gives_up:
            raise gives_up
        if other.glance is None:
            r.require_entry(who, other)
        else:
            r.require_removal(who, other)
        stays = beyond[0] == above[0]
        if moves and not stays:
            raise moves
        if said & _RENAME_EXCHANGE and other.is_directory and not stays:
            r.require(who, other, WRITE)

    return check


def _times(
    directory: int | None, at: int, times: int, form: str, flags: int | None = None
) -> Check:
    """`form`: how two times are encoded, for `struct`; only of nanoseconds some have a meaning."""

    def check(r: Rights, w: World, c: Listener, who: Credentials) -> None:
        said = 0 if flags is None else c.args[flags]
        parts: tuple[int, ...] = ()
        if c.args[times]:
            parts = unpack(form, w.memory.read(c.pid, c.args[times], 8 * int(form[1])))
        if form == "<4q" and flags is not None and parts:
            if (parts[1], parts[3]) == (_UTIME_OMIT, _UTIME_OMIT):
                return
            if (parts[1], parts[3]) == (_UTIME_NOW, _UTIME_NOW):
                parts = ()
        start = AT_FDCWD if directory is None else c.args[directory]
        if directory is not None and not c.args[at]:
            found = descriptor(r, w, c, start)
        else:
            found = find(r, w, c, who, start, c.args[at], not said & AT_SYMLINK_NOFOLLOW)
        if found.glance is None or r.owns(who, found):
            return
        if parts:
            raise Refused(errno.EPERM)
        r.require(who, found, WRITE)

    return check


def _attribute(by_fd: bool, follow: bool, want: int) -> Check:
    """xattr(7): `user.` attributes are read and written like content, ACLs set by owners."""

    def check(r: Rights, w: World, c: Listener, who: Credentials) -> None:
        found = (
            descriptor(r, w, c, c.args[0])
            if by_fd
            else find(r, w, c, who, AT_FDCWD, c.args[0], follow)
        )
        if found.glance is None:
            return
        name = w.memory.string(c.pid, c.args[1], 256)
        if name.startswith(b"user."):
            r.require_attribute(who, found, want)
        elif name.startswith(b"system.posix_acl_") and want == WRITE:
            r.require_owner(who, found)

    return check


def _binds(r: Rights, w: World, c: Listener, who: Credentials) -> None:
    address = w.memory.read(c.pid, c.args[1], min(c.args[2] & 0xFFFFFFFF, 110))
    path = address[2:].split(b"\0", 1)[0]
    if unpack("<H", address[:2])[0] != _AF_UNIX or not path:
        return
    found = r.find_entry(who, w.paths.enter(c.pid, AT_FDCWD, path))
    if found.glance is None and path[-1:] != b"/":
        r.require_entry(who, found)


CHECKS: dict[str, Check] = {
    "stat": _reaches(None, 0, True),
    "lstat": _reaches(None, 0, False),
    "newfstatat": _reaches(0, 1, None, 3),
    "statx": _reaches(0, 1, None, 2),
    "readlink": _reaches(None, 0, False),
    "readlinkat": _reaches(0, 1, False),
    "chown": _reaches(None, 0, True),
    "lchown": _reaches(None, 0, False),
    "fchownat": _reaches(0, 1, None, 4),
    "chmod": _reaches(None, 0, True),
    "fchmodat": _reaches(0, 1, True),
    "fchmodat2": _reaches(0, 1, None, 3),
    "listxattr": _reaches(None, 0, True),
    "llistxattr": _reaches(None, 0, False),
    "getxattr": _attribute(False, True, READ),
    "lgetxattr": _attribute(False, False, READ),
    "fgetxattr": _attribute(True, True, READ),
    "setxattr": _attribute(False, True, WRITE),
    "lsetxattr": _attribute(False, False, WRITE),
    "fsetxattr": _attribute(True, True, WRITE),
    "removexattr": _attribute(False, True, WRITE),
    "lremovexattr": _attribute(False, False, WRITE),
    "fremovexattr": _attribute(True, True, WRITE),
    "chdir": _enters,
    "fchdir": _enters_descriptor,
    "chroot": _changes_root,
    "truncate": _truncates,
    "execve": _executes(None, 0, None),
    "execveat": _executes(0, 1, 4),
    "mkdir": _makes_entry(None, 0, may_end_in_slash=True),
    "mkdirat": _makes_entry(0, 1, may_end_in_slash=True),
    "mknod": _makes_entry(None, 0),
    "mknodat": _makes_entry(0, 1),
    "symlink": _makes_entry(None, 1),
    "symlinkat": _makes_entry(1, 2),
    "bind": _binds,
    "unlink": _removes(None, 0, None, False),
    "unlinkat": _removes(0, 1, 2, False),
    "rmdir": _removes(None, 0, None, True),
    "link": _links(None, (0, 1)),
    "linkat": _links((0, 2), (1, 3)),
    "rename": _renames(None, (0, 1)),
    "renameat": _renames((0, 2), (1, 3)),
    "renameat2": _renames((0, 2), (1, 3), 4),
    "utime": _times(None, 0, 1, "<2q"),
    "utimes": _times(None, 0, 1, "<4q"),
    "futimesat": _times(0, 1, 2, "<4q"),
    "utimensat": _times(0, 1, 2, "<4q", 3),
}
