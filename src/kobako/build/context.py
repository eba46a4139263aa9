"""The build context: the directory whose files COPY and ADD take, and digests of their bytes."""

from __future__ import annotations

import errno
import os
import time

from kobako.build.cache import cache_key
from kobako.build.files import DIRECTORY, SMALL, Entry, Files, changed, hash_file
from kobako.build.ignore import parse_ignore
from kobako.build.memory import Memory
from kobako.build.survey import TRAITS, Survey
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kobako.build.cache import Cache
    from kobako.build.ignore import Ignore
    from kobako.build.sources import Remote
    from kobako.build.why.listing import Listing

_END = 1024
"""Bytes of zeros a tar ends with."""
_LARGE = 1 << 20
_FEW, _MANY = 32, 500
_SETTLED = 50_000_000
"""A file changed less than this before it was hashed (ns) may change again unseen by its times."""


class _Root(Entry):
    """The directory itself: what is sent of a context is what lies in it, in a new directory."""

    __slots__ = ()

    @property
    def mode(self) -> int:
        return 0o755


class Context(Files):
    """A build context. The digests of files are remembered in the build cache between builds.

    `hashed` is how many bytes of files were read for that so far. `ignore_size` is the size of the
    file that says what to ignore; `name` is that of a named context; `origin` is what a fetched
    context is called, `remote` where it came from.
    """

    _kinds = Files._kinds | {0o140000}  # sockets, too

    def __init__(self, root: str = "", ignore: Ignore | None = None) -> None:
        super().__init__(root, ignore)
        self._top = _Root("", "", self._top.stat)
        self._opener = os.geteuid(), os.getegid()
        self._owners: dict[str, tuple[int, int]] = {}
        self._began_ns = time.time_ns()
        self._newest_ns = 0
        self._survey = Survey(self)
        self._memory: Memory | None = None
        self._learned = 0
        self._asked = 0
        self.hashed = 0
        self.ignore_size = 0
        self.name = "context"
        self.origin = ""
        self.remote: Remote | None = None
        self._time: Callable[[], int | None] | None = None
        self._digests: dict[str, str] = {}
        self.listings: dict[str, tuple[dict[str, Any] | None, Listing]] = {}

    @classmethod
    def open_directory(cls, directory: str, dockerfile: str = "") -> Context:
        """The context in `directory`. Ignored is what `<dockerfile>.dockerignore` says, else
        `.dockerignore` in the directory; `dockerfile` is a path as the caller sees it."""
        root = os.path.realpath(directory)
        candidates = [os.path.join(root, ".dockerignore")]
        if dockerfile:
            candidates.insert(0, dockerfile + ".dockerignore")
        for path in candidates:
            if path == candidates[-1] and not os.path.realpath(path).startswith(
                root.rstrip("/") + "/"
            ):
                continue  # a link that leads out of the context
            try:
                with open(path, encoding="utf-8", opener=_open_at_once) as file:
                    text = file.read()
                context = cls(root, parse_ignore(text, os.path.basename(path)))
                context.ignore_size = len(text.encode())
                return context
            except (FileNotFoundError, NotADirectoryError):
                continue
            except UnicodeDecodeError:
                raise Invalid(f"{path} is not UTF-8 text") from None
            except OSError as error:
                raise Invalid(f"cannot read {path}: {error.strerror}") from None
        return cls(root)

    @classmethod
    def open_fetched(
        cls,
        directory: str,
        owners: dict[str, tuple[int, int]],
        origin: str = "",
        time: Callable[[], int | None] | None = None,
    ) -> Context:
        """A context that was fetched: as with BuildKit nothing of it is ignored, and the files of
        an archive keep their `owners`, by relative path; others are root's. `time` is asked for
        the time of what was fetched."""
        context = cls(os.path.realpath(directory))
        context._owners = owners
        context.origin = origin
        context._time = time
        return context

    def time(self) -> int | None:
        """When what was fetched was made, in seconds; None for a directory of this machine."""
        return self._time() if self._time is not None else None

    def check_unchanged(self, fd: int, entry: Entry) -> None:
        """What is copied has to be what was hashed: the cache keeps it under that name."""
        if TRAITS(os.fstat(fd)) != TRAITS(entry.stat):
            raise changed(entry)

    check_read = check_unchanged

    def owner(self, entry: Entry) -> tuple[int, int]:
        return self._owners.get(entry.path, (0, 0))

    def size(self) -> tuple[int, int]:
        """(bytes of the tar archive docker would send, number of files): looks at everything."""
        seen = self._survey.below("")
        return _END + seen.size, seen.files

    def owned_by_root(self, path: str) -> bool:
        """Whether everything at `path` has the owner it has for the build, root, on disk too.

        Who builds is root in the user namespace of the build, entered or still to be entered.
        """
        entry = self.lookup(path)
        if entry is None:
            return True
        if self._owners:
            return False
        below = self.walk(entry) if entry.kind == DIRECTORY else ()
        ours = (self._opener, (os.geteuid(), os.getegid()))
        return all((e.stat.st_uid, e.stat.st_gid) in ours for e in (entry, *below))

    def signature(self, entry: Entry) -> tuple[str, int]:
        """(a digest that tells whether an entry or anything below it has changed, if all is
        `settled`; their number)."""
        own, count, newest = TRAITS(entry.stat), 1, entry.stat.st_ctime_ns
        below = ""
        if entry.kind == DIRECTORY:
            seen = self._survey.below(entry.path)
            below, count, newest = seen.digest, 1 + seen.count, max(newest, seen.newest_ns)
        self._newest_ns = max(self._newest_ns, newest)
        return cache_key(own, below), count

    def settled(self) -> bool:
        """Whether nothing that has a signature may have changed since without other times."""
        return self._began_ns - self._newest_ns > _SETTLED

    def listing_pair(self, place: str) -> tuple[Listing, Listing] | None:
        """What a COPY took the last time and takes now, where that is another."""
        old, new = self.listings.get(place, (None, None))
        if old is None or new is None:
            return None
        return type(new).load(old), new

    def digest(self, entry: Entry, cache: Cache) -> str:
        """sha256 (hex) of a file's bytes; a file whose times have not changed is not read again."""
        found = self._digests.get(entry.path)
        if found is None:
            found = self._known(entry, cache)
            if found is None:
                found = hash_file(self.open(entry), entry.stat.st_size)
                self.hashed += entry.stat.st_size
                self._learn(entry, found, cache)
            self._digests[entry.path] = found
        return found

    def digest_all(self, entries: list[Entry], cache: Cache) -> None:
        """Has the digests of files ready; many of them, or large ones, are hashed side by side."""
        unknown = [
            entry
            for entry in entries
            if entry.path not in self._digests and self._known(entry, cache) is None
        ]
        large = sum(entry.stat.st_size > _LARGE for entry in unknown)
        if large < 2 and len(unknown) < _MANY:
            return
        from kobako.build.hashing import hash_all

        digests = hash_all(self, unknown)
        for entry in unknown:
            self._digests[entry.path] = digests[entry.path]
            self.hashed += entry.stat.st_size
            self._learn(entry, digests[entry.path], cache)

    def remember(self, cache: Cache) -> None:
        """Keeps the digests for the next build, if it is worth it."""
        if self._memory is not None and self._learned:
            if len(self._memory) > 2 * len(self._digests) + 1000:  # most are gone by now
                self._memory.keep_only(self._digests)
            cache.put(self._row(), self._memory.document())
            self._learned = 0

    def _known(self, entry: Entry, cache: Cache) -> str | None:
        # Reading a few small files is cheaper than remembering them.
        if self._memory is None:
            if entry.stat.st_size <= SMALL and len(self._digests) + self._asked < _FEW:
                self._asked += 1
                return None
            self._memory = Memory(cache.get(self._row()))
        return self._memory.get(entry.path, entry.stat)

    def _learn(self, entry: Entry, digest: str, cache: Cache) -> None:
        if self._memory is not None and time.time_ns() - entry.stat.st_ctime_ns > _SETTLED:
            self._memory.put(entry.path, entry.stat, digest)
            self._learned += 1

    def _row(self) -> str:
        return f"files:{self.root}"


def _open_at_once(path: str, flags: int) -> int:
    """`open`'s opener that does not wait for whoever may write to a FIFO."""
    import stat

    fd = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    return fd
