"""Changes of an overlay's upper directory against the layers below it.

Only upper is walked: the time is that of what changed. A directory that is there for the sake of
something below it counts as changed with that; one whose metadata is the lower one's and in which
nothing changed does not. It is idle, as are whiteouts of nothing and new sockets: a layer has none
of them, and upon other layers they would show.
"""

from __future__ import annotations

import errno
import os
import stat

from kobako.errors import Unsupported
from kobako.layer.change import Change, path_order
from kobako.layer.format import opaque_xattr
from kobako.linux import fs
from kobako.linux.ownership import XATTR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def diff(
    upper: str, lowers: Sequence[str], form: str, idle: list[str] | None = None
) -> list[Change]:
    """The changes in `upper` relative to `lowers` (topmost first), in path order. Paths there that
    are none are added to `idle`."""
    root = os.open(upper, fs.DIRECTORY)
    try:
        comparison = _Comparison(root, opaque_xattr(form))
        changes = comparison.run([os.fsencode(p) for p in lowers])
    finally:
        os.close(root)
    if idle is not None:
        idle += ["/" + os.fsdecode(path) for path in comparison.idle()]
    return changes


def strip(upper: str, idle: Sequence[str]) -> None:
    """Takes idle paths away from a tree that is not in use. The directories they are in keep their
    times; one in which there is something else stays."""
    for path in sorted(idle, reverse=True):
        full = upper + path
        above = os.path.dirname(full)
        times = os.lstat(above)
        try:
            if stat.S_ISDIR(os.lstat(full).st_mode):
                os.rmdir(full)
            else:
                os.unlink(full)
        except OSError as fault:
            if fault.errno != errno.ENOTEMPTY:
                raise
        os.utime(above, ns=(times.st_atime_ns, times.st_mtime_ns))


_SHOWN = 200


class _Comparison:
    def __init__(self, root_fd: int, opaque: str) -> None:
        self._root = root_fd
        self._opaque = opaque
        self._found: dict[bytes, Change] = {}
        self._unchanged: set[bytes] = set()  # directories copied up without a change of their own
        self._void: list[bytes] = []  # whiteouts of nothing, sockets

    def idle(self) -> list[bytes]:
        """What was found and is no change."""
        return [*self._unchanged, *self._void]

    def run(self, lowers: list[bytes]) -> list[Change]:
        pending = [(b"", lowers)]
        while pending:
            path, below = pending.pop()
            try:
                fd = fs.open_directory(self._root, path)
            except OSError as fault:
                if path and fault.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    continue  # a running container has just replaced it
                if fault.errno == errno.ENAMETOOLONG:
                    name = os.fsdecode(path)
                    raise Unsupported(
                        f"/{name[:_SHOWN]}...: no layer has paths of more than 4095 bytes",
                        hint="Remove that directory, or give it shorter names.",
                    ) from None
                raise
            try:
                pending += self._directory(fd, path, below)
            finally:
                os.close(fd)
        return sorted(self._found.values(), key=path_order)

    def _directory(
        self, fd: int, path: bytes, lowers: list[bytes]
    ) -> list[tuple[bytes, list[bytes]]]:
        deeper = []
        with os.scandir(fd) as found:
            entries = list(found)
        above = path + b"/" if path else b""
        for entry in entries:
            name = os.fsencode(entry.name)
            child = above + name
            old, below = self._lower(lowers, name) if lowers else (None, lowers)
            if entry.is_file(follow_symlinks=False):  # the directory says so: no look at the file
                self._record(child, "A" if old is None else "C")
                continue
            try:
                info = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
                if old is None:
                    self._void.append(child)
                else:
                    self._record(child, "D")
            elif stat.S_ISDIR(info.st_mode):
                deeper.append((child, self._subdirectory(fd, name, child, info, old, below)))
            elif not stat.S_ISSOCK(info.st_mode) or old is not None:
                self._record(child, "A" if old is None else "C")
            else:
                self._void.append(child)
        return deeper

    def _subdirectory(
        self,
        fd: int,
        name: bytes,
        child: bytes,
        info: os.stat_result,
        old: os.stat_result | None,
        below: list[bytes],
    ) -> list[bytes]:
        """Records a directory; returns where its content is to be looked for in the lowers."""
        if old is None:
            self._record(child, "A")
            return []
        if not below:  # it took the place of something that is no directory
            self._record(child, "C")
            return []
        path = b"/proc/self/fd/%d/%b" % (fd, name)
        if _xattr(path, self._opaque) == b"y":
            self._record(child, "C", opaque=True)
            return []
        if _same(info, old) and _xattr(path, XATTR) == _xattr(below[0], XATTR):
            self._unchanged.add(child)
        else:
            self._record(child, "C")
        return below

    def _record(self, path: bytes, kind: str, opaque: bool = False) -> None:
        self._found[path] = Change("/" + os.fsdecode(path), kind, opaque)
        above = path.rpartition(b"/")[0]
        while above in self._unchanged:
            self._unchanged.discard(above)
            self._found[above] = Change("/" + os.fsdecode(above), "C")
            above = above.rpartition(b"/")[0]

    def _lower(self, lowers: list[bytes], name: bytes) -> tuple[os.stat_result | None, list[bytes]]:
        """What the lowers show at `name`, and, for a directory, the directories merged into it."""
        shown: os.stat_result | None = None
        merged: list[bytes] = []
        for lower in lowers:
            path = lower + b"/" + name
            try:
                info = os.lstat(path)
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(info.st_mode):
                if shown is None and not (stat.S_ISCHR(info.st_mode) and info.st_rdev == 0):
                    shown = info
                break
            shown = shown or info
            merged.append(path)
            if _xattr(path, self._opaque) == b"y":
                break
        return shown, merged


def _same(a: os.stat_result, b: os.stat_result) -> bool:
    mine = (a.st_mode, a.st_uid, a.st_gid, a.st_mtime_ns)
    return mine == (b.st_mode, b.st_uid, b.st_gid, b.st_mtime_ns)


def _xattr(path: bytes, name: str) -> bytes:
    try:
        return os.getxattr(path, name)
    except OSError:
        return b""
