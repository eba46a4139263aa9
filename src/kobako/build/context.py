"""The build context: the directory whose files COPY and ADD take, and digests of their bytes."""

from __future__ import annotations

import os
import time

from kobako.build.files import DIRECTORY, FILE, Entry, Files
from kobako.build.ignore import parse_ignore
from kobako.errors import Invalid
from kobako.oci import Digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.build.cache import Cache
    from kobako.build.ignore import Ignore

_BLOCK = 512
_CHUNK = 1 << 20
_SMALL = 64 << 10
_SETTLED = 50_000_000
"""A file changed less than this before it was hashed (ns) may change again unseen by its times."""


class Context(Files):
    """A build context. The digests of files are remembered in the build cache between builds."""

    def __init__(self, root: str = "", ignore: Ignore | None = None) -> None:
        super().__init__(root, ignore)
        self._opener = os.geteuid(), os.getegid()
        self._known: dict[str, list[Any]] | None = None
        self._fresh: dict[str, list[Any]] = {}
        self._digests: dict[str, str] = {}

    @classmethod
    def open_directory(cls, directory: str, dockerfile: str = "") -> Context:
        """The context in `directory`. Ignored is what `<dockerfile>.dockerignore` says, else
        `.dockerignore` in the directory; `dockerfile` is a path as the caller sees it."""
        root = os.path.realpath(directory)
        candidates = [os.path.join(root, ".dockerignore")]
        if dockerfile:
            candidates.insert(0, dockerfile + ".dockerignore")
        for path in candidates:
            try:
                with open(path, encoding="utf-8") as file:
                    return cls(root, parse_ignore(file.read(), os.path.basename(path)))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except UnicodeDecodeError:
                raise Invalid(f"{path} is not UTF-8 text") from None
            except OSError as error:
                raise Invalid(f"cannot read {path}: {error.strerror}") from None
        return cls(root)

    def size(self) -> tuple[int, int]:
        """(bytes of the tar archive docker would send, number of files): reads everything."""
        total, count = 2 * _BLOCK, 0
        for entry in self.walk(self._top):
            blocks = -(-entry.stat.st_size // _BLOCK) if entry.kind == FILE else 0
            total += _BLOCK * (1 + blocks)
            if len(os.fsencode(entry.path)) > 100:  # a name too long for the header takes two more
                total += 2 * _BLOCK
            count += entry.kind != DIRECTORY
        return total, count

    def owned_by_root(self, path: str) -> bool:
        """Whether everything at `path` has the owner it has for the build, root, on disk too.

        Who builds is root in the user namespace of the build, entered or still to be entered.
        """
        entry = self.lookup(path)
        if entry is None:
            return True
        below = self.walk(entry) if entry.kind == DIRECTORY else ()
        ours = (self._opener, (os.geteuid(), os.getegid()))
        return all((e.stat.st_uid, e.stat.st_gid) in ours for e in (entry, *below))

    def digest(self, entry: Entry, cache: Cache) -> str:
        """sha256 (hex) of a file's bytes; a file whose times have not changed is not read again."""
        found = self._digests.get(entry.path)
        if found is not None:
            return found
        status = entry.stat
        signs = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        small = status.st_size <= _SMALL and self._known is None
        if not small or len(self._digests) > 32:  # for a few small files reading them is cheaper
            known = self._remembered(cache).get(entry.path)
            if known is not None and known[:4] == signs:
                found = str(known[4])
        if found is None:
            found = hash_file(self.open(entry), status.st_size)
            if time.time_ns() - status.st_ctime_ns > _SETTLED:
                self._fresh[entry.path] = [*signs, found]
        self._digests[entry.path] = found
        return found

    def remember(self, cache: Cache) -> None:
        """Keeps the digests for the next build, if it is worth it."""
        if self._fresh and (self._known is not None or len(self._fresh) > 32):
            kept = {**self._remembered(cache), **self._fresh}
            cache.put(self._row(), {"files": kept})
            self._known, self._fresh = kept, {}

    def _remembered(self, cache: Cache) -> dict[str, list[Any]]:
        if self._known is None:
            row = cache.get(self._row())
            self._known = dict(row["files"]) if row else {}
        return self._known

    def _row(self) -> str:
        return f"context:{self.root}"


def hash_file(fd: int, size: int) -> str:
    """sha256 (hex) of an open file, which is closed; `size` only says how to read it."""
    try:
        if size < _SMALL:
            data = os.read(fd, _SMALL)
            if len(data) < _SMALL:
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
