"""One look at all that lies below a directory: what tells at a glance that nothing of it has
changed (names, kinds, modes, sizes, times and inodes), and how much it is.

For 20,000 files that is 20,000 lstats. Where there are many, two processes look at half of them.
"""

from __future__ import annotations

import marshal
import os
from _operator import attrgetter

from kobako.oci import Digest
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.files import Files

_BLOCK = 512
_KIND, _DIRECTORY, _REGULAR = 0o170000, 0o040000, 0o100000
TRAITS = attrgetter("st_mode", "st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")
_MODE, _SIZE, _CHANGED = 0, 1, 3
_MANY = 1000
"""So many entries take about as long as a fork."""
_TURN = 2
_MOST_TURNS = 1 << 15
"""Of so many bytes each, they fit into a pipe."""

_Part = tuple[bytes, int, int, int, int, list[str]]
"""Of what lies in one directory: a digest of names and traits, how many entries, how many of them
no directories, the bytes of a tar of them, when the newest changed (ns), the directories."""


class Seen(Record):
    """Everything below a directory. What has the same `digest` has the same content, if
    `newest_ns`, when the last of its `count` entries changed, is a while ago. `size` is that of
    a tar of them without its end, `files` how many are no directories."""

    digest: str
    count: int
    files: int
    size: int
    newest_ns: int


class Survey:
    """What has been looked at of `files`: each directory once."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._parts: dict[str, _Part] = {}

    def below(self, directory: str) -> Seen:
        """Everything below a directory; `Unavailable` when some of it cannot be read."""
        if directory not in self._parts:
            self._look_around(directory)
        digests = []
        count = files = size = newest = 0
        waiting = [directory]
        while waiting:
            path = waiting.pop()
            part = self._parts.get(path) or self._look(path)
            digests.append(part[0])
            count += part[1]
            files += part[2]
            size += part[3]
            newest = max(newest, part[4])
            waiting += part[5]
        return Seen(str(Digest.of(b"".join(digests))), count, files, size, newest)

    def _look_around(self, directory: str) -> None:
        """Looks at the directories below one, too; once there turn out to be many, with another
        process. What that could not do is left: who tries it again is told why."""
        waiting = [directory]
        count = 0
        for at, path in enumerate(waiting):
            if count > _MANY and len(waiting) - at > 1:
                from kobako.linux import process

                if process.has_single_thread():
                    self._look_together(waiting[at:])
                    return
            part = self._look(path)
            count += part[1]
            waiting += part[5]

    def _look_together(self, directories: list[str]) -> None:
        """Two processes look at directories and what is below: each takes the next when it is
        ready for one, as these are not alike."""
        turns = _turns(min(len(directories), _MOST_TURNS))
        answer, end = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                before = set(self._parts)
                self._take_turns(turns, directories)
                found = {path: part for path, part in self._parts.items() if path not in before}
                with open(end, "wb") as told:
                    told.write(marshal.dumps(found, 2))
            finally:
                os._exit(0)
        os.close(end)
        try:
            self._take_turns(turns, directories)
            with open(answer, "rb", closefd=False) as told:
                data = told.read()
        finally:
            os.close(turns)
            os.close(answer)
            os.waitpid(child, 0)
        if data:
            self._parts.update(marshal.loads(data))

    def _take_turns(self, turns: int, directories: list[str]) -> None:
        while turn := os.read(turns, _TURN):
            waiting = [directories[int.from_bytes(turn, "little")]]
            while waiting:
                waiting += self._look(waiting.pop())[5]

    def _look(self, directory: str) -> _Part:
        """What lies in one directory."""
        rows = [(name, TRAITS(status)) for name, status in self._files.listed(directory)]
        names = [name for name, traits in rows if traits[_MODE] & _KIND == _DIRECTORY]
        sizes = [traits[_SIZE] for _, traits in rows if traits[_MODE] & _KIND == _REGULAR]
        blocks = sum([-(-size // _BLOCK) for size in sizes])
        above = f"{directory}/" if directory else ""
        longest = max([len(name) for name, _ in rows], default=0)
        if len(above) + longest > 25:  # a path too long for the header has one of its own
            blocks += 2 * sum([len(os.fsencode(above + name)) > 100 for name, _ in rows])
        part = self._parts[directory] = (
            bytes.fromhex(Digest.of(marshal.dumps(rows, 2)).encoded),
            len(rows),
            len(rows) - len(names),
            _BLOCK * (len(rows) + blocks),
            max([traits[_CHANGED] for _, traits in rows], default=0),
            [above + name for name in names],
        )
        return part


def _turns(count: int) -> int:
    """A pipe that gives each of `count` numbers to one reader."""
    turns, fill = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.write(fill, b"".join([at.to_bytes(_TURN, "little") for at in range(count)]))
    finally:
        os.close(fill)
    return turns
