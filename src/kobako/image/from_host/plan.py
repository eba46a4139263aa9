"""A tree to be made of this machine's files: what goes where in the image, and why not.

The plan keeps symlink chains as they are (`/bin -> usr/bin`, `/etc/alternatives`), and moves what
lies under a home directory to /usr/local, so that no image shows how a person arranges theirs.
"""

from __future__ import annotations

import os
import stat

from kobako.errors import Conflict, Denied, Invalid, KobakoError, NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_PUBLIC_ETC = ("/etc/alternatives/", "/etc/terminfo/")
_LINK_LIMIT = 40  # as the kernel's MAXSYMLINKS


class Planned(Record):
    """One path of the tree, owned by root:root.

    `kind` is "dir", "file" or "link". A file's bytes come from `source` on this machine, or are
    `data` when `source` is ""; a link's target is `target`. `size` is that of the file in bytes
    and `inode` tells which files are one (None: no other name).
    """

    kind: str
    mode: int
    source: str = ""
    data: bytes = b""
    target: str = ""
    size: int = 0
    mtime: int = 0
    inode: tuple[int, int] | None = None


class TreePlan:
    """Image paths (absolute, no trailing slash) and their entries.

    `homes` are directories whose files are never placed under their own paths. `skipped` is
    what was left out and why: (path, reason) in the order met.
    """

    def __init__(self, homes: Iterable[str] = ("/root", "/home")) -> None:
        self.entries: dict[str, Planned] = {}
        self.skipped: list[tuple[str, str]] = []
        self._homes = tuple(h.rstrip("/") for h in homes if h.rstrip("/"))
        self._moved: list[tuple[str, str]] = []

    # Where things go

    def move(self, prefix: str, to: str) -> None:
        """Everything under `prefix` on this machine goes under `to` in the image."""
        if (prefix, to) not in self._moved:
            self._moved.append((prefix, to))
            self._moved.sort(key=lambda pair: -len(pair[0]))

    def is_private(self, path: str) -> bool:
        """Whether `path` lies in a home directory and must not keep its place."""
        return any(path == h or path.startswith(h + "/") for h in self._homes)

    def place(self, path: str) -> str:
        """The image path for a path of this machine."""
        for prefix, to in self._moved:
            if path == prefix or path.startswith(prefix + "/"):
                return to + path[len(prefix) :]
        return path

    def add(self, path: str, *, moved_to: str = "/usr/local/lib") -> str:
        """Plan the file, link or directory (without its content) at `path`, and all it leads to.

        `moved_to` is the directory for a private file that no `move` covers. Returns the image
        path of `path`. Raises `NotFound`, `Denied` or `Invalid`, naming the path.
        """
        path = os.path.normpath(path)
        real = os.path.realpath(path)
        if self.is_private(self.place(real)):
            self.move(os.path.dirname(real), moved_to)
        if self.is_private(self.place(path)):
            path = real
        before = len(self.entries)
        try:
            self._walk(path)
        except KobakoError:
            while len(self.entries) > before:  # half a chain of links would dangle
                self.entries.popitem()
            raise
        return self.place(path)

    def _walk(self, path: str) -> None:
        """Plan each component from the root on; a link leads on to its target."""
        pending = [c for c in path.split("/") if c]
        here = ""
        links = 0
        while pending:
            component = pending.pop(0)
            if component == ".":
                continue
            if component == "..":
                here = here.rpartition("/")[0]
                continue
            here = f"{here}/{component}"
            try:
                info = os.lstat(here)
            except OSError as error:
                raise _because(error, here) from None
            if stat.S_ISLNK(info.st_mode):
                links += 1
                if links > _LINK_LIMIT:
                    raise Invalid(f"{path} leads through too many symbolic links")
                target = os.readlink(here)
                self._link(here, target)
                pending = [c for c in target.split("/") if c] + pending
                here = "" if target.startswith("/") else here.rpartition("/")[0]
            else:
                self._plain(here, info)

    def _link(self, path: str, target: str) -> None:
        where = self.place(path)
        if self.is_private(where):
            return
        direct = os.path.normpath(os.path.join(os.path.dirname(path), target))
        if os.path.normpath(os.path.join(os.path.dirname(where), target)) != self.place(direct):
            target = self.place(direct)
        if where != self.place(direct):  # both ends may have moved to one place
            self._put(where, Planned("link", 0o777, target=target))

    def _plain(self, path: str, info: os.stat_result) -> None:
        where = self.place(path)
        if stat.S_ISDIR(info.st_mode):
            if not self._only_on_the_way(path):
                self.directory(where)
        elif stat.S_ISREG(info.st_mode):
            if self.is_private(where):
                raise Denied(f"{path} lies in a home directory and is not copied into an image")
            if where.startswith("/etc/") and not where.startswith(_PUBLIC_ETC):
                raise Denied(f"{path} is this machine's configuration and is not copied")
            self._file(path, where, info)
        else:
            raise Invalid(f"{path} is neither a file, a directory nor a symbolic link")

    def _only_on_the_way(self, path: str) -> bool:
        """A directory above or inside a home, with no place of its own in the image."""
        return self.place(path) == path and (
            self.is_private(path) or any(h.startswith(path + "/") for h in self._homes)
        )

    def _file(self, path: str, where: str, info: os.stat_result) -> None:
        if where in self.entries and self.entries[where].source == path:
            return
        if not os.access(path, os.R_OK):
            raise Denied(f"{path} cannot be read", hint="run as root or leave it out")
        mode = stat.S_IMODE(info.st_mode)
        if info.st_uid != 0:
            mode &= ~stat.S_ISUID
        if info.st_gid != 0:
            mode &= ~stat.S_ISGID
        entry = Planned(
            "file",
            mode | 0o444,
            source=path,
            size=info.st_size,
            mtime=int(info.st_mtime),
            inode=(info.st_dev, info.st_ino) if info.st_nlink > 1 else None,
        )
        self._put(where, entry)

    # What does not come from this machine

    def directory(self, where: str, mode: int = 0o755) -> None:
        """A directory at the image path `where`, with its parents."""
        self._parents(where)
        known = self.entries.get(where)
        if known is None or (known.kind == "dir" and known.mode != mode and mode != 0o755):
            self.entries[where] = Planned("dir", mode)

    def write(self, where: str, data: bytes, mode: int = 0o644) -> None:
        """A fresh file at `where`; replaces a planned one."""
        where = self._through_links(where)
        self._parents(where)
        self.entries[where] = Planned("file", mode, data=data, size=len(data))

    def symlink(self, where: str, target: str) -> None:
        """A link at `where`, unless something is planned there already."""
        where = self._through_links(os.path.dirname(where)) + "/" + os.path.basename(where)
        if where not in self.entries:
            self._parents(where)
            self.entries[where] = Planned("link", 0o777, target=target)

    def holds(self, where: str) -> bool:
        """Whether the image path exists in the plan, through planned links too."""
        where = where.rstrip("/")
        return self._through_links(where) in self.entries

    def _through_links(self, where: str) -> str:
        """`where` with every planned link on its way followed."""
        pending = [c for c in where.split("/") if c]
        here = ""
        for _ in range(_LINK_LIMIT * 8):
            if not pending:
                break
            component = pending.pop(0)
            if component == "..":
                here = here.rpartition("/")[0]
                continue
            here = f"{here}/{component}"
            entry = self.entries.get(here)
            if entry is not None and entry.kind == "link":
                pending = [c for c in entry.target.split("/") if c] + pending
                here = "" if entry.target.startswith("/") else here.rpartition("/")[0]
        return here

    def _parents(self, where: str) -> None:
        parent = os.path.dirname(where)
        while parent not in ("", "/"):
            if parent in self.entries:
                break
            self.entries[parent] = Planned("dir", 0o755)
            parent = os.path.dirname(parent)

    def _put(self, where: str, entry: Planned) -> None:
        known = self.entries.get(where)
        if known is not None and known != entry:
            one, other = (e.source or e.target or "a directory" for e in (entry, known))
            raise Conflict(
                f"{one} and {other} would both be {where} in the image",
                hint="leave one of them out",
            )
        self._parents(where)
        self.entries[where] = entry

    def skip(self, path: str, reason: str) -> None:
        """Note that `path` was left out."""
        self.skipped.append((path, reason))


def _because(error: OSError, path: str) -> NotFound | Denied:
    if isinstance(error, PermissionError):
        return Denied(f"{path} cannot be read", hint="run as root or leave it out")
    return NotFound(f"{path} does not exist")
