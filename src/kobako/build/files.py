"""Files that COPY, ADD and mounts take from: a directory, looked at once, never left by a symlink.

A directory is read when something below it is first asked for, by directory descriptors, and
remembered: one build looks at each of them at most once.
"""

from __future__ import annotations

import os
import stat
from _operator import itemgetter

from kobako.build.ignore import Ignore, Verdict
from kobako.errors import Invalid, Unavailable
from kobako.oci import Digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.build.worker import Tree

FILE, DIRECTORY, LINK, OTHER = "file", "directory", "link", "other"
_MAX_LINKS = 255
_DIR_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KIND = 0o170000
_KINDS = frozenset(
    (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK)
)
"""What can be copied of a tree: all but sockets."""
_NAME = itemgetter(0)
SMALL = 64 << 10
"""Files up to this many bytes are read at once."""
_CHUNK = 1 << 20
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Entry:
    """One file as it was when its directory was read. `path` is relative, "" for the root."""

    __slots__ = ("children", "kind", "name", "path", "stat", "target")

    def __init__(self, path: str, name: str, status: os.stat_result) -> None:
        self.path = path
        self.name = name
        self.stat = status
        self.target = ""
        self.children: dict[str, Entry] | None = None
        mode = status.st_mode
        if stat.S_ISREG(mode):
            self.kind = FILE
        elif stat.S_ISDIR(mode):
            self.kind = DIRECTORY
        elif stat.S_ISLNK(mode):
            self.kind = LINK
        else:
            self.kind = OTHER

    @property
    def mode(self) -> int:
        return stat.S_IMODE(self.stat.st_mode)


class Files:
    """The files below the directory `root`, without those `ignore` excludes."""

    _kinds = _KINDS

    def __init__(self, root: str = "", ignore: Ignore | None = None) -> None:
        """Opens `root`; "" stands for no directory: there are no files then."""
        self.root = root
        self.ignore = ignore or Ignore([])
        try:
            self._fd = os.open(root or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Invalid(f"cannot read the directory {root}: {error.strerror}") from None
        import _thread

        self._lock = _thread.allocate_lock()  # of `_last`: vertices copy at the same time
        self._last: tuple[str, int] = ("", -1)
        self._top = Entry("", "", os.fstat(self._fd))
        self._lists: dict[str, list[tuple[str, os.stat_result]]] = {} if root else {"": []}
        self._verdicts: dict[str, Verdict] = {"": self.ignore.top}  # of directories
        self._targets: dict[str, str] = {}

    def close(self) -> None:
        self._forget()
        os.close(self._fd)

    @property
    def top(self) -> Entry:
        """The root directory itself."""
        return self._top

    def owner(self, entry: Entry) -> tuple[int, int]:
        """Files of a build context belong to root."""
        return 0, 0

    def xattrs(self, entry: Entry) -> list[tuple[str, bytes]]:
        """The extended attributes to copy along."""
        return []

    def device(self, entry: Entry) -> tuple[int, int] | None:
        """The type (S_IFIFO, S_IFCHR or S_IFBLK) and number of what is neither file, directory nor
        link. Of a socket BuildKit is sent an empty file."""
        if entry.kind != OTHER:
            return None
        kind = stat.S_IFMT(entry.stat.st_mode)
        return stat.S_IFREG if kind == stat.S_IFSOCK else kind, entry.stat.st_rdev

    def lookup(self, path: str, *, follow: bool = True) -> Entry | None:
        """The entry at `path`. Symlinks are resolved as if `root` were `/`; the last one only
        with `follow`. None when there is no such file, or it is excluded."""
        waiting = _parts(path)[::-1]
        at: list[Entry] = [self._top]
        links = 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                if len(at) > 1:
                    at.pop()
                continue
            if at[-1].kind != DIRECTORY:
                return None
            found = self.children(at[-1]).get(part)
            if found is None:
                return None
            if found.kind == LINK and (waiting or follow):
                links += 1
                if links > _MAX_LINKS:
                    return None
                if found.target.startswith("/"):
                    at = [self._top]
                waiting += _parts(found.target)[::-1]
            else:
                at.append(found)
        return at[-1]

    def children(self, entry: Entry) -> dict[str, Entry]:
        """What lies in a directory, by name, in order of names."""
        if entry.children is None:
            above = entry.path + "/" if entry.path else ""
            found = {}
            for name, status in self.listed(entry.path):
                path = above + name
                child = Entry(path, name, status)
                if child.kind == LINK:
                    child.target = self._targets[path]
                found[name] = child
            entry.children = found
        return entry.children

    def listed(self, path: str) -> list[tuple[str, os.stat_result]]:
        """The same, cheaper: names and what lstat says."""
        found = self._lists.get(path)
        if found is None:
            found = self._lists[path] = self._read(path)
        return found

    def walk(self, entry: Entry) -> Iterator[Entry]:
        """Everything below a directory, parents first, in order of names."""
        waiting = [iter(self.children(entry).values())]
        while waiting:
            child = next(waiting[-1], None)
            if child is None:
                waiting.pop()
                continue
            yield child
            if child.kind == DIRECTORY:
                waiting.append(iter(self.children(child).values()))

    def open(self, entry: Entry) -> int:
        """A descriptor to read a file's bytes; the caller closes it."""
        with self._lock:
            fd = open_file(entry, self._directory(entry))
        try:
            self.check_unchanged(fd, entry)
        except Unavailable:
            os.close(fd)
            raise
        return fd

    def directory_fd(self, path: str) -> int:
        """A descriptor of a directory; the caller closes it."""
        return self._open_directory(path) if path else os.dup(self._fd)

    def check_unchanged(self, fd: int, entry: Entry) -> None:
        """Raises `Unavailable` when an open file is not what was seen at `entry`'s path."""
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise changed(entry)

    def check_read(self, fd: int, entry: Entry) -> None:
        """The same for a file whose bytes have all been read."""

    def exists_but_excluded(self, path: str) -> bool:
        """Whether only the ignore patterns hide it (for the error message)."""
        return bool(self.ignore) and os.path.lexists(os.path.join(self.root, *_parts(path)))

    def hidden_below(self, entry: Entry) -> Iterator[str]:
        """What lies in a directory and yet is not to be seen: paths relative to it, without what is
        below another one of them."""
        waiting = [entry]
        while waiting:
            at = waiting.pop()
            shown = self.children(at)
            cut = len(entry.path) + 1 if entry.path else 0
            for name in sorted(os.listdir(os.path.join(self.root, at.path))):
                if name not in shown:
                    yield (f"{at.path}/{name}" if at.path else name)[cut:]
            waiting += [child for child in shown.values() if child.kind == DIRECTORY]

    def _read(self, path: str) -> list[tuple[str, os.stat_result]]:
        fd = self.directory_fd(path)
        try:
            with os.scandir(fd) as found:
                listed = list(found)
            if self.ignore:
                listed = self._without_ignored(path, listed)
            rows = [(one.name, one.stat(follow_symlinks=False)) for one in listed]
            rows.sort(key=_NAME)
            for one in listed:
                if one.is_symlink():
                    child = f"{path}/{one.name}" if path else one.name
                    self._targets[child] = os.readlink(one.name, dir_fd=fd)
            return [row for row in rows if row[1].st_mode & _KIND in self._kinds]
        except OSError as error:
            raise Unavailable(
                f"cannot read {path or '.'} of {self.root}: {error.strerror}",
                hint="Make it readable, or exclude it in .dockerignore.",
            ) from None
        finally:
            os.close(fd)

    def _without_ignored(
        self, directory: str, listed: list[os.DirEntry[str]]
    ) -> list[os.DirEntry[str]]:
        """What is not excluded. The status of what is excluded is never asked for."""
        kept = []
        above = directory + "/" if directory else ""
        parent = self._verdicts[directory]
        concerned = self.ignore.concerned(directory, parent)
        for one in listed:
            path = above + one.name
            as_parent = concerned is not None and one.name not in concerned
            if not one.is_dir(follow_symlinks=False):
                if not (parent.excluded if as_parent else self.ignore.excludes(path, parent)):
                    kept.append(one)
                continue
            verdict = parent if as_parent else self.ignore.verdict(path, parent)
            self._verdicts[path] = verdict
            if not verdict.excluded or (
                self.ignore.may_take_back_below(path) and self.listed(path)
            ):
                kept.append(one)
        return kept

    def _directory(self, entry: Entry) -> int:
        """A descriptor of the directory `entry` lies in; kept until another one is needed."""
        parent = entry.path[: -len(entry.name) - 1] if "/" in entry.path else ""
        if not parent:
            return self._fd
        if self._last[0] != parent:
            self._forget()
            self._last = (parent, self._open_directory(parent))
        return self._last[1]

    def _open_directory(self, path: str) -> int:
        fd = os.dup(self._fd)
        try:
            for part in path.split("/"):
                below = os.open(part, _DIR_FLAGS, dir_fd=fd)
                os.close(fd)
                fd = below
        except OSError as error:
            os.close(fd)
            raise Unavailable(f"cannot open {path} of {self.root}: {error.strerror}") from None
        return fd

    def _forget(self) -> None:
        if self._last[1] >= 0:
            os.close(self._last[1])
        self._last = ("", -1)


class TreeFiles(Files):
    """The files of an image's or a stage's tree: they keep their owners and attributes."""

    def __init__(self, tree: Tree) -> None:
        super().__init__(tree.path)
        self._tree = tree

    def owner(self, entry: Entry) -> tuple[int, int]:
        return self._tree.owner(entry.path)

    def device(self, entry: Entry) -> tuple[int, int] | None:
        if entry.kind == FILE and not entry.stat.st_size:
            return self._tree.stands_for(entry.path)
        return super().device(entry)

    def xattrs(self, entry: Entry) -> list[tuple[str, bytes]]:
        path = os.path.join(self.root, entry.path)
        try:
            names = os.listxattr(path, follow_symlinks=False)
            return [
                (name, os.getxattr(path, name, follow_symlinks=False))
                for name in sorted(names)
                if _is_copied(name)
            ]
        except OSError:
            return []


def changed(entry: Entry) -> Unavailable:
    """The error that a file is not what it was when its directory was read."""
    return Unavailable(
        f"{entry.path} changed while it was being read",
        hint="Build again when nothing writes into the build context.",
    )


def open_file(entry: Entry, directory: int) -> int:
    """A descriptor to read the file in an open directory; `Unavailable` names it by its path."""
    try:
        return os.open(entry.name, FILE_FLAGS, dir_fd=directory)
    except OSError as error:
        raise Unavailable(f"cannot read {entry.path}: {error.strerror}") from None


def hash_file(fd: int, size: int) -> str:
    """sha256 (hex) of an open file, which is closed; `size` only says how to read it."""
    try:
        if size < SMALL:
            data = os.read(fd, SMALL)
            if len(data) < SMALL:
                return Digest.of(data).encoded
            os.lseek(fd, 0, os.SEEK_SET)
        from hashlib import sha256

        digest = sha256()
        while True:
            data = os.read(fd, _CHUNK)
            if not data:
                return digest.hexdigest()
            digest.update(data)
    finally:
        os.close(fd)


def _is_copied(name: str) -> bool:
    """Whether an attribute is the file's own, not one overlay or kobako keeps its books in.
    `user.kobako.xattr.*` stands for attributes the kernel would not take (`linux.ownership`)."""
    if name.startswith("user.kobako.xattr."):
        return True
    books = ("user.overlay.", "user.kobako.", "trusted.", "system.")
    return not name.startswith(books) and name != "security.selinux"


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
