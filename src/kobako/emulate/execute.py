"""execve: set-user-id and set-group-id files by their recorded owners.

The new credentials are set before the kernel carries the call out, since nothing tells us that it
has. A call that will fail for want of the file or of its execute bit is recognised; one that fails
later (E2BIG, a text that is no program) leaves the process with the saved ids of the new program.
"""

from __future__ import annotations

from kobako.emulate.inodes import S_IFMT, S_IFREG
from kobako.emulate.world import RESUME, World
from kobako.linux.notify import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.emulate.world import Answer
    from kobako.linux.notify import Listener

_S_ISUID, _S_ISGID, _S_IXGRP, _X = 0o4000, 0o2000, 0o0010, 0o0111


def _execute(w: World, c: Listener, directory: int, path_at: int, flags: int) -> int:
    who = w.credentials.of(c.pid)
    path = w.memory.string(c.pid, path_at)
    if not path and not flags & AT_EMPTY_PATH:
        return RESUME
    place = w.paths.enter(c.pid, directory, path)
    follow = not path or not flags & AT_SYMLINK_NOFOLLOW
    inode = w.inodes.stat(place, follow)
    mode = inode.mode
    if mode & S_IFMT != S_IFREG or not mode & _X:
        return RESUME
    uid = gid = None
    if mode & (_S_ISUID | _S_ISGID) and not _is_script(place):
        own = w.inodes.owner(place, follow)
        if w.paths.status(c.pid)[b"NoNewPrivs"] == b"0":
            uid = own.uid if mode & _S_ISUID else None
            gid = own.gid if mode & _S_ISGID and mode & _S_IXGRP else None
    new = who.after_exec(uid, gid)
    if new != who and c.valid():
        w.credentials.set(c.pid, new)
    return RESUME


def _is_script(place: bytes) -> bool:
    with open(place, "rb", buffering=0) as file:
        return file.read(2) == b"#!"


def _native(w: World, c: Listener, directory: int, path_at: int, flags: int) -> int:
    try:
        return _execute(w, c, directory, path_at, flags)
    except OSError:
        return RESUME


ANSWERS: dict[str, Answer] = {
    "execve": lambda w, c: _native(w, c, AT_FDCWD, c.args[0], 0),
    "execveat": lambda w, c: _native(w, c, c.args[0], c.args[1], c.args[4]),
}
