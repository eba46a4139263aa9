"""A container's log: what it printed, when, and on which stream.

The monitor writes records, each 1 byte stream (1 stdout or terminal, 2 stderr), 8 bytes time (ns
since the epoch), 4 bytes length, little-endian, then the bytes as they came. Readers put lines
together again. A record cut off by a crash or a full disk is the end of its file. A log of bounded
size has older files beside it: `log.1` is the one before `log`, `log.2` the one before that.
"""

from __future__ import annotations

import os

from kobako.errors import NotFound
from kobako.linux import libc
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

STDOUT, STDERR = 1, 2
_HEADER = 13
_BLOCK = 1 << 20
_LINE_LIMIT = 1 << 20  # a longer line is given in parts
_NEWLINE = 10
_SPACING = 1 << 14  # bytes between places of a log that are kept in mind
_IN_MODIFY, _IN_CLOSE_WRITE, _IN_MOVED_TO = 0x2, 0x8, 0x80


class LogLine(Record):
    """A line, its newline included; the last of a stream may lack it. `time_ns`: of its start."""

    stream: int
    time_ns: int
    data: bytes


def read(
    state_dir: str,
    *,
    follow: bool = False,
    tail: int | None = None,
    since_ns: int = 0,
    until_ns: int = 0,
) -> Iterator[LogLine]:
    """The lines of a container's log, in the order they were begun.

    tail: only the last so many. since_ns, until_ns: lines begun in that span; 0 is no limit.
    follow: go on until the container has ended; an unfinished line is given once nothing follows
    it. A container that has printed nothing has an empty log. `NotFound`: none is kept.
    """
    files = _open_all(state_dir)
    if not files:
        if not follow:
            return
        raise NotFound(f"{state_dir} has no log")
    try:
        offset = skip = 0
        if tail is not None:
            if not (since_ns or until_ns):
                offset = _drop_all_but_last(files, tail)
            total = sum(1 for line in _lines(files, offset) if _within(line, since_ns, until_ns))
            skip = max(0, total - tail)
        source = _followed(state_dir, files, offset) if follow else _lines(files, offset)
        for line in source:
            if until_ns and line.time_ns > until_ns:
                if follow:
                    return
                continue
            if not _within(line, since_ns, until_ns):
                continue
            if skip:
                skip -= 1
                continue
            yield line
    finally:
        for file in files:
            os.close(file)


def _open_all(state_dir: str) -> list[int]:
    """The files of the log, the oldest first. The newest is opened first: what the monitor renames
    meanwhile is met twice rather than missed."""
    found: dict[int, int] = {}  # inode -> descriptor
    number = 0
    while True:
        name = f"{state_dir}/log.{number}" if number else f"{state_dir}/log"
        try:
            file = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return list(reversed(found.values()))
        inode = os.fstat(file).st_ino
        if inode in found:
            os.close(file)
        else:
            found[inode] = file
        number += 1


def _within(line: LogLine, since_ns: int, until_ns: int) -> bool:
    return line.time_ns >= since_ns and (not until_ns or line.time_ns <= until_ns)


class _Records:
    """The bytes of a log in, in pieces; records (stream, time_ns, bytes) out."""

    def __init__(self) -> None:
        self._raw = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """b"": another file begins; a record that was cut off is not continued in it."""
        raw = self._raw + data if self._raw and data else data
        at = 0
        while len(raw) - at >= _HEADER:
            size = int.from_bytes(raw[at + 9 : at + 13], "little")
            end = at + _HEADER + size
            if end > len(raw):
                break
            time_ns = int.from_bytes(raw[at + 1 : at + 9], "little")
            yield raw[at], time_ns, raw[at + _HEADER : end]
            at = end
        self._raw = raw[at:]

    def skip(self, data: bytes) -> None:
        """As `feed`, for who does not want them: a quarter of the time, of a million records."""
        raw = self._raw + data if self._raw and data else data
        at, end = 0, len(raw)
        while (after := at + _HEADER) <= end:
            after += int.from_bytes(raw[at + 9 : after], "little")
            if after > end:
                break
            at = after
        self._raw = raw[at:]


class _Assembler:
    """Records in, lines out; what is unfinished waits, stream by stream."""

    def __init__(self) -> None:
        self._records = _Records()
        self._open: dict[int, tuple[int, bytes]] = {}

    def feed(self, data: bytes) -> Iterator[LogLine]:
        for stream, time_ns, text in self._records.feed(data):
            yield from self._split(stream, time_ns, text)

    def _split(self, stream: int, time_ns: int, data: bytes) -> Iterator[LogLine]:
        begun, head = self._open.pop(stream, (time_ns, b""))
        start = 0
        while (newline := data.find(b"\n", start)) >= 0:
            yield LogLine(stream, begun, head + data[start : newline + 1])
            begun, head, start = time_ns, b"", newline + 1
        rest = head + data[start:]
        if len(rest) > _LINE_LIMIT:
            yield LogLine(stream, begun, rest)
        elif rest:
            self._open[stream] = begun, rest

    def flush(self) -> Iterator[LogLine]:
        unfinished, self._open = self._open, {}
        for stream, (begun, data) in sorted(unfinished.items(), key=lambda item: item[1][0]):
            yield LogLine(stream, begun, data)


def _lines(files: list[int], offset: int = 0) -> Iterator[LogLine]:
    """Those of open files from a record of the first on, at `offset`."""
    assembler = _Assembler()
    for file in files:
        yield from assembler.feed(b"")
        while data := os.pread(file, _BLOCK, offset):
            offset += len(data)
            yield from assembler.feed(data)
        offset = 0
    yield from assembler.flush()


def _drop_all_but_last(files: list[int], wanted: int) -> int:
    """Closes and takes from `files` what is not needed for the last lines; the offset of the record
    in the first of them from which on there are `wanted` lines or more, each whole.

    Where such a record is, is known from those after it, so all are looked at; but none is put
    together.
    """
    from collections import deque

    total = 0  # ends of lines so far
    places: deque[tuple[int, tuple[int, int]]] = deque()  # (those before it, file and offset)
    unfinished: dict[int, tuple[int, int]] = {}  # by stream: where the line began
    next_place = (0, 0)
    for number, file in enumerate(files):
        for offset, stream, ends, complete in _ends_of_lines(file):
            here = number, offset
            if here >= next_place:
                places.append((total, min([here, *unfinished.values()])))
                next_place = number, offset + _SPACING
                while len(places) > 1 and total - places[1][0] >= wanted:
                    places.popleft()
            total += ends
            if complete:
                unfinished.pop(stream, None)
            elif ends or stream not in unfinished:
                unfinished[stream] = here
    number, offset = places[0][1] if places else (0, 0)
    for file in files[:number]:
        os.close(file)
    del files[:number]
    return offset


def _ends_of_lines(file: int) -> Iterator[tuple[int, int, int, bool]]:
    """Of each record its offset, stream, how many lines end in it, and whether it ends with one."""
    raw, base = b"", 0
    while data := os.pread(file, _BLOCK, base + len(raw)):
        raw += data
        at, length = 0, len(raw)
        while (begin := at + _HEADER) <= length:
            end = begin + int.from_bytes(raw[at + 9 : begin], "little")
            if end > length:
                break
            yield base + at, raw[at], raw.count(b"\n", begin, end), raw[end - 1] == _NEWLINE
            at = end
        base, raw = base + at, raw[at:]


def _followed(state_dir: str, files: list[int], offset: int = 0) -> Iterator[LogLine]:
    """As `_lines`, but waits at the end while a monitor writes. What becomes of `files` is as with
    `_Growing`."""
    from kobako.runtime import state

    assembler = _Assembler()
    growing = _Growing(state_dir, files, offset)
    try:
        while True:
            ended = state.state(state_dir).status not in ("running", "paused")
            for data in growing.more():  # once it has ended, what there is is all
                yield from assembler.feed(data)
            if ended:
                break
            if not growing.watch.wait(_PATIENCE_MS):
                yield from assembler.flush()
                growing.watch.wait(-1)
        yield from assembler.flush()
    finally:
        growing.watch.close()


class Tail:
    """What a container prints from now on, on whichever stream, as its log gets it.

    There is more to `take` when `fileno` is readable. `NotFound`: no log is kept.
    """

    def __init__(self, state_dir: str) -> None:
        self._files = _open_all(state_dir)
        if not self._files:
            raise NotFound(f"{state_dir} has no log")
        while len(self._files) > 1:
            os.close(self._files.pop(0))
        end = os.fstat(self._files[0]).st_size
        self._records = _Records()
        self._growing = _Growing(state_dir, self._files)
        for data in self._growing.more(end):  # records have no end mark: they are counted through
            self._records.skip(data)

    def fileno(self) -> int:
        return self._growing.watch.fileno()

    def take(self) -> Iterator[tuple[int, bytes]]:
        """(stream, bytes) of all there is now."""
        self._growing.watch.wait(0)
        for data in self._growing.more():
            for stream, _, text in self._records.feed(data):
                yield stream, text

    def close(self) -> None:
        self._growing.watch.close()
        for file in self._files:
            os.close(file)


class _Growing:
    """The bytes of a log that is written to. Of `files`, open, the oldest first, those that have
    been read are closed and leave the list; new ones join it."""

    def __init__(self, state_dir: str, files: list[int], offset: int = 0) -> None:
        self._state_dir = state_dir
        self._files = files
        self._offset = offset  # in the first file
        self.watch = _Watch(state_dir, files[-1])

    def more(self, end: int = -1) -> Iterator[bytes]:
        """What has not been given yet, in blocks; b"" between two files. `end`: only so far, in the
        first file."""
        while True:
            begun = _begun_after(self._state_dir, self._files[-1])
            if begun:
                self._files += begun
                self.watch.add(begun[-1])
            while True:
                size = _BLOCK if end < 0 else min(_BLOCK, end - self._offset)
                data = os.pread(self._files[0], size, self._offset)
                if not data:
                    break
                self._offset += len(data)
                yield data
            if len(self._files) == 1 or end >= 0:
                return
            os.close(self._files.pop(0))
            self._offset = 0
            yield b""


def _begun_after(state_dir: str, last: int) -> list[int]:
    """The files that are newer than the one open as `last`."""
    known = os.fstat(last).st_ino
    try:
        if os.stat(f"{state_dir}/log").st_ino == known:
            return []
    except FileNotFoundError:
        return []  # the next one has not got its name yet, or all is removed
    files = _open_all(state_dir)
    for at, file in enumerate(files):
        if os.fstat(file).st_ino == known:
            for older in files[: at + 1]:
                os.close(older)
            return files[at + 1 :]
    return files


_PATIENCE_MS = 100  # an unfinished line is shown when nothing follows it for so long


class _Watch:
    """inotify on the newest file of a log and on the directory, where files get their names."""

    def __init__(self, state_dir: str, log: int) -> None:
        start = libc.function("inotify_init1", libc.c_int, libc.c_int)
        add = libc.function("inotify_add_watch", libc.c_int, libc.c_int, libc.c_char_p, libc.c_uint)
        self._fd = libc.check(start(os.O_CLOEXEC | os.O_NONBLOCK), "inotify_init1")
        self._add = add
        self.add(log)
        directory = os.fsencode(state_dir)
        watched = add(self._fd, directory, _IN_MOVED_TO)
        libc.check(watched, "inotify_add_watch", directory)

    def fileno(self) -> int:
        return self._fd

    def add(self, log: int) -> None:
        """Watch the file open as `log`, which is the newest now."""
        name = b"/proc/self/fd/%d" % log
        events = _IN_MODIFY | _IN_CLOSE_WRITE
        libc.check(self._add(self._fd, name, events), "inotify_add_watch", name)

    def wait(self, timeout_ms: int) -> bool:
        """Whether something happened in time (-1: waits for it)."""
        import select

        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        if not poll.poll(timeout_ms):
            return False
        os.read(self._fd, 1 << 16)
        return True

    def close(self) -> None:
        os.close(self._fd)
