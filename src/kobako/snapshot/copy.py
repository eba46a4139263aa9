"""The copy driver: a whole tree for every container, where overlay cannot be had.

Slow to prepare (reflinks help where the filesystem has them), but it works anywhere. What changed
is found by comparing each inode's number and change time with those at the start: no program can
set the latter.
"""

from __future__ import annotations

import os
import stat

from kobako.errors import Corrupt
from kobako.layer.change import Change, path_order
from kobako.linux import fs
from kobako.linux.mount import Mount
from kobako.snapshot.driver import Driver, remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.linux.ownership import Owners

    Index = dict[bytes, tuple[int, int]]

_INDEX = "index"


class CopyDriver(Driver):
    """`rootfs` is the real tree; `upper` is a symbolic link to it."""

    name = "copy"

    def __init__(self, form: str) -> None:
        self.form = form

    def prepare(
        self,
        dir: str,  # noqa: A002
        lowers: Sequence[str],
        *,
        merged: bool = True,
    ) -> None:
        from kobako.snapshot.merge import copy_layers, merged_owners

        if os.path.exists(f"{dir}/{_INDEX}"):
            return
        remove_tree(f"{dir}/rootfs")  # of an attempt that was killed
        os.makedirs(f"{dir}/rootfs", mode=0o755)
        os.chmod(f"{dir}/rootfs", 0o755)
        copy_layers(lowers, f"{dir}/rootfs", self.form)
        merged_owners(lowers, self.form).save(f"{dir}/owners")
        if not os.path.islink(f"{dir}/upper"):
            os.symlink("rootfs", f"{dir}/upper")
        _save(f"{dir}/{_INDEX}", _scan(f"{dir}/rootfs"))

    def mounts(
        self,
        dir: str,  # noqa: A002
        lowers: Sequence[str],
        *,
        volatile: bool = False,
        readonly: bool = False,
    ) -> tuple[Mount, ...]:
        flags = ("bind", "ro") if readonly else ("bind",)
        return (Mount("none", f"{dir}/rootfs", f"{dir}/rootfs", flags),)

    def diff(
        self,
        dir: str,  # noqa: A002
        lowers: Sequence[str],
        idle: list[str] | None = None,
    ) -> list[Change]:
        before = _load(f"{dir}/{_INDEX}")
        now = _scan(f"{dir}/rootfs")
        found: list[Change] = []
        for path, state in now.items():
            old = before.get(path)
            if old != state:
                found.append(Change("/" + os.fsdecode(path), "A" if old is None else "C"))
        for path in before:
            if path not in now and (b"/" not in path or path.rpartition(b"/")[0] in now):
                found.append(Change("/" + os.fsdecode(path), "D"))
        return sorted(_with_parents(found), key=path_order)

    def usage(self, dir: str) -> int:  # noqa: A002
        total = 0
        seen: set[int] = set()
        for change in self.diff(dir, ()):
            if change.kind == "D":
                continue
            try:
                info = os.lstat(f"{dir}/rootfs{change.path}")
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(info.st_mode) and info.st_ino not in seen:
                seen.add(info.st_ino)
                total += info.st_size
        return total

    def remove(self, dir: str) -> None:  # noqa: A002
        for part in (_INDEX, "upper", "owners", "rootfs"):
            remove_tree(f"{dir}/{part}")
        try:
            os.rmdir(dir)
        except OSError:
            pass  # others keep things here too, or it is gone already

    def owners(self, dir: str, lowers: Sequence[str]) -> Owners:  # noqa: A002
        from kobako.snapshot.merge import merged_owners

        return merged_owners([f"{dir}/rootfs"], self.form)


def _with_parents(found: list[Change]) -> list[Change]:
    """Adds the directories above changes, as `docker diff` shows them."""
    known = {c.path for c in found}
    parents = set()
    for change in found:
        above = change.path.rpartition("/")[0]
        while above and above not in known and above not in parents:
            parents.add(above)
            above = above.rpartition("/")[0]
    return found + [Change(path, "C") for path in parents]


def _scan(root: str) -> Index:
    """(inode number, ctime in ns) of everything below `root`."""
    index: Index = {}
    top = os.open(root, fs.DIRECTORY)
    try:
        pending = [b""]
        while pending:
            path = pending.pop()
            try:
                fd = fs.open_directory(top, path)
            except (FileNotFoundError, NotADirectoryError):
                continue  # a running container has just removed it
            try:
                with os.scandir(fd) as entries:
                    for entry in entries:
                        name = os.fsencode(entry.name)
                        child = path + b"/" + name if path else name
                        try:
                            info = entry.stat(follow_symlinks=False)
                        except FileNotFoundError:
                            continue
                        index[child] = (info.st_ino, info.st_ctime_ns)
                        if stat.S_ISDIR(info.st_mode):
                            pending.append(child)
            finally:
                os.close(fd)
    finally:
        os.close(top)
    return index


def _save(path: str, index: Index) -> None:
    part = f"{path}.part"
    with open(part, "wb") as file:
        for name, (inode, ctime) in index.items():
            file.write(b"%d %d %b\0" % (inode, ctime, name))
        file.flush()
        os.fsync(file.fileno())
    os.rename(part, path)


def _load(path: str) -> Index:
    index: Index = {}
    with open(path, "rb") as file:
        records = file.read().split(b"\0")
    if records.pop():
        raise Corrupt(f"the index {path} is torn", hint="remove the container")
    for record in records:
        inode, ctime, name = record.split(b" ", 2)
        index[name] = (int(inode), int(ctime))
    return index
