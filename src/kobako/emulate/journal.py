"""The owners table on disk while a container runs.

Every change is appended at once, under the name the file then has, so a crash loses nothing but
renames. `Journal.rewrite` replaces the file by a settled table; `settled` finds the names.
"""

from __future__ import annotations

import os

from kobako.linux.ownership import Own, Owners, encode_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kobako.emulate.inodes import Inodes


class Journal:
    """The table at `path`. Opened before the supervisor chroots; needs no path afterwards."""

    def __init__(self, path: str) -> None:
        self._directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_CLOEXEC)
        self._name = os.path.basename(path)
        self._fd = -1

    def write(self, path: bytes, owner: tuple[int, int] | None) -> None:
        if self._fd < 0:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._fd = os.open(self._name, flags, 0o644, dir_fd=self._directory)
        os.write(self._fd, encode_line(path, owner))

    def in_upper(self, path: bytes) -> bool:
        """Whether the writable layer has its own file of that name."""
        try:
            os.lstat(os.path.join(b"upper", path), dir_fd=self._directory)
        except OSError:
            return False
        return True

    def rewrite(self, table: Owners) -> None:
        """Replaces the file in one step; an empty table removes it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if not table:
            try:
                os.unlink(self._name, dir_fd=self._directory)
            except FileNotFoundError:
                pass
            return
        part = self._name + ".part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        fd = os.open(part, flags, 0o644, dir_fd=self._directory)
        with open(fd, "wb") as file:
            file.write(table.encode())
            file.flush()
            os.fsync(fd)
        os.rename(part, self._name, src_dir_fd=self._directory, dst_dir_fd=self._directory)


def load(owners_path: str, lower_owners: Sequence[str]) -> Owners:
    """What the tables of a container's layers say together.

    An entry of a layer counts unless a layer above has something of that name: `upper` or `tree`
    beside each table is the layer's tree. Must run before the supervisor chroots.
    """
    merged = Owners.load(owners_path)
    above = [os.path.join(os.path.dirname(owners_path), "upper")]
    for lower in lower_owners:
        for name, owner in Owners.load(lower).items():
            hidden = any(os.path.lexists(os.path.join(os.fsencode(t), name)) for t in above)
            if not hidden:
                merged.setdefault(name, owner)
        above.append(os.path.join(os.path.dirname(lower), "tree"))
    return merged


def restore(table: Owners, inodes: Inodes) -> None:
    """Makes the entries of `table` known to `inodes`, by what their paths lead to now."""
    for name, (uid, gid) in table.items():
        inodes.restore(name, Own(uid, gid))


def settled(inodes: Inodes, below: Owners, book: Journal) -> Owners:
    """The table under the names the files have now: renames and further links are followed.

    Looks where the file was seen, then in that directory, and only for what is still missing (or
    has several links) through the whole tree. Entries whose file is gone are forgotten. What
    the lower layers (`below`) say of files that are still theirs is left out.
    """
    table = Owners()
    missing: dict[tuple[int, int], Own] = {}
    for key, special in list(inodes.specials.items()):
        if special.path is None:
            continue
        found = inodes.special_at(special.path)
        if found is not None and found[0] == key:
            table[special.path] = (special.own.uid, special.own.gid)
            if found[1] == 1:
                continue
        missing[key] = special.own
    for wide in (False, True):
        if not missing:
            break
        roots = [b""] if wide else {os.path.dirname(inodes.name_of(key)) for key in missing}
        for path in (p for root in roots for p in _specials_below(root, inodes, deep=wide)):
            found = inodes.special_at(path)
            if found is None or found[0] not in missing:
                continue
            own = missing[found[0]]
            table[path] = (own.uid, own.gid)
            inodes.specials[found[0]].path = path
            if found[1] == 1:
                del missing[found[0]]
    for key in missing:
        if inodes.name_of(key) not in table:
            del inodes.specials[key]
    return Owners({p: o for p, o in table.items() if below.get(p) != o or book.in_upper(p)})


def _specials_below(root: bytes, inodes: Inodes, *, deep: bool) -> Iterator[bytes]:
    """Paths (from the container's root) of what is neither file nor directory, on its own mount."""
    pending = [root]
    while pending:
        directory = pending.pop()
        try:
            if inodes.stat(b"/" + directory, False).mount != inodes.root_mount:
                continue
            with os.scandir(b"/" + directory) as entries:
                for entry in entries:
                    path = os.path.join(directory, entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        if deep:
                            pending.append(path)
                    elif not entry.is_file(follow_symlinks=False):
                        yield path
        except OSError:
            continue
