"""What tells at a glance that nothing below a directory has changed: names, kinds, modes, sizes,
times and inodes. For 20,000 files that is 20,000 lstats, which two processes make in half the time.
"""

from __future__ import annotations

import marshal
import os
from _operator import attrgetter

from kobako.build.files import DIRECTORY
from kobako.linux import process
from kobako.oci import Digest
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.build.files import Entry, Files

_KIND, _DIRECTORY = 0o170000, 0o040000
_TRAITS = attrgetter("st_mode", "st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")
_CHANGED = 3

Part = tuple[str, int, int]  # a digest, how many entries it is of, when the newest changed (ns)


class Signature(Record):
    """Who has the same `digest` has the same content, if `newest_ns`, when the last of its `count`
    entries changed, is a while ago."""

    digest: str
    count: int
    newest_ns: int


def sign(files: Files, entry: Entry, *, halved: bool = False) -> Signature:
    """The signature of an entry and of all below it; `halved` is how, not what: by two processes,
    unless all has been looked at already."""
    own = _TRAITS(entry.stat)
    if entry.kind != DIRECTORY:
        return Signature(str(Digest.of(marshal.dumps(own, 2))), 1, own[_CHANGED])
    halved = halved and not files.is_listed(entry.path)
    rows, newest, directories = _listed(files, entry.path)
    half = len(directories) // 2
    other = None
    if halved and half and process.has_single_thread():
        other = _Elsewhere(lambda: _below(files, directories[half:]))
    first = _below(files, directories[:half])
    second = (other and other.result()) or _below(files, directories[half:])
    return Signature(
        str(Digest.of(marshal.dumps((own, rows, first[0], second[0]), 2))),
        1 + len(rows) + first[1] + second[1],
        max(own[_CHANGED], newest, first[2], second[2]),
    )


def _below(files: Files, directories: list[str]) -> Part:
    """Everything in these directories."""
    parts = []
    count = newest = 0
    waiting = list(directories)
    while waiting:
        rows, changed, below = _listed(files, waiting.pop())
        parts.append(marshal.dumps(rows, 2))
        count += len(rows)
        newest = max(newest, changed)
        waiting += below
    return str(Digest.of(b"".join(parts))), count, newest


def _listed(
    files: Files, directory: str
) -> tuple[list[tuple[str, tuple[int, ...]]], int, list[str]]:
    """(names and traits of what lies in a directory, when the newest changed, directories)."""
    rows = [(name, _TRAITS(status)) for name, status in files.listed(directory)]
    names = [name for name, traits in rows if traits[0] & _KIND == _DIRECTORY]
    below = [f"{directory}/{name}" for name in names] if directory else names
    return rows, max([traits[_CHANGED] for _, traits in rows], default=0), below


class _Elsewhere:
    """A part that another process works out."""

    def __init__(self, work: Callable[[], Part]) -> None:
        self._answer, answer = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            try:
                os.write(answer, marshal.dumps(work(), 2))
            finally:
                os._exit(0)
        os.close(answer)

    def result(self) -> Part | None:
        """None where it could not: who tries it again is told why."""
        try:
            told = os.read(self._answer, 4096)
        finally:
            os.close(self._answer)
            os.waitpid(self._child, 0)
        if not told:
            return None
        part: Part = marshal.loads(told)
        return part
