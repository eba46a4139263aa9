"""Trees on disk as values, and running a test's work as root of a user namespace."""

from __future__ import annotations

import os
import pickle
import stat
import traceback
from collections.abc import Callable
from typing import Any

from kobako.linux import userns


def as_namespace_root(work: Callable[[], Any]) -> Any:
    """What `work()` gives in a child that entered a user namespace (unless we are root)."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(r)
            answer = _attempt(work)
            with open(w, "wb") as pipe:
                pickle.dump(answer, pipe)
        finally:  # nobody may listen any more: the rest of the suite is not for this process
            os._exit(0)
    os.close(w)
    with open(r, "rb") as pipe:
        fine, value = pickle.load(pipe)
    os.waitpid(pid, 0)
    if not fine:
        raise value
    return value


def _attempt(work: Callable[[], Any]) -> tuple[bool, Any]:
    """(True, what `work` gives) or (False, its exception), in a user namespace of a single id."""
    try:
        if os.geteuid() != 0:
            userns.enter_single()
        return (True, work())
    except BaseException as fault:
        try:
            return (False, pickle.loads(pickle.dumps(fault)))
        except Exception:
            return (False, AssertionError(traceback.format_exc()))


def facts(root: str | bytes, *, owners: bool = True, times: bool = True) -> dict[bytes, tuple]:
    """Path -> what matters of each inode below `root`; hard links name their first path."""
    root = os.fsencode(root)
    found: dict[bytes, tuple] = {}
    first: dict[int, bytes] = {}
    names = []
    for directory, below, files in os.walk(root):
        names += [os.path.join(directory, n) for n in below + files]
    for path in sorted(names):
        info = os.lstat(path)
        kind = stat.S_IFMT(info.st_mode)
        name = path[len(root) + 1 :]
        content: object = None
        if kind == stat.S_IFREG:
            with open(path, "rb") as file:
                content = hash(file.read())
        elif kind == stat.S_IFLNK:
            content = os.readlink(path)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            content = info.st_rdev
        mode = 0 if kind == stat.S_IFLNK else info.st_mode & 0o7777
        who = (info.st_uid, info.st_gid) if owners else None
        when = int(info.st_mtime) if times else None
        link = None
        if kind != stat.S_IFDIR and info.st_nlink > 1:
            link = first.setdefault(info.st_ino, name)
        found[name] = (kind, mode, who, when, content, link)
    return found
