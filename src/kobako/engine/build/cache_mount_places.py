"""Cache mounts between builds: listed, carried to other machines as archives, removed.

Whoever reads or replaces one holds its lock alone: no RUN uses it meanwhile, and what a RUN with
`sharing=locked` writes is seen whole.
"""

from __future__ import annotations

import fcntl
import os

from kobako.errors import Conflict, Invalid, KobakoError, NotFound, Unavailable
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from kobako.engine.engine import Engine

_BLOCK = 512
_MARK = b"kobako-cache-mount "
_TRASH = ".trash"


class Place(Record):
    """A cache mount. `id` is what the Dockerfile calls it, `name` tells those of one id apart."""

    id: str
    name: str
    directory: str
    size: int
    in_use: bool
    created_ns: int
    used_ns: int


def every(engine: Engine) -> list[Place]:
    """All cache mounts of this mode, by id."""
    engine.enter()
    base = _base(engine)
    found = []
    for name in sorted(os.listdir(base)) if os.path.isdir(base) else ():
        directory = os.path.join(base, name)
        if name.endswith(_TRASH):  # of a removal that was killed, or is under way
            try:
                _discard(directory)
            except KobakoError:
                pass
            continue
        place = _look(directory)
        if place is not None:
            found.append(place)
    return sorted(found, key=lambda place: (place.id, place.name))


def find(engine: Engine, word: str) -> list[Place]:
    """Those of an id, or the one of a name or the beginning of one. `NotFound`."""
    places = every(engine)
    found = [p for p in places if p.id == word] or [p for p in places if p.name.startswith(word)]
    if not found:
        raise NotFound(f"No such cache mount: {word}", hint="See: kobako builder cache-mount ls")
    return found


def export(engine: Engine, word: str, sink: BinaryIO) -> None:
    """Writes a cache mount as a tar, its files with the owners they have in containers.

    Waits for builds that use it. `Conflict` where several have the id.
    """
    from kobako.layer.export import export as write

    found = find(engine, word)
    if len(found) > 1:
        names = ", ".join(place.name[:12] for place in found)
        raise Conflict(f"several cache mounts are called {word}", hint=f"Give one of: {names}")
    place = found[0]
    lock = _lock(place.directory, wait=True)
    if lock < 0:
        raise NotFound(f"No such cache mount: {word}")
    try:
        sink.write(_header(place))
        tree = os.path.join(place.directory, "tree")
        fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            write(fd, sink, engine.mode.format)
        finally:
            os.close(fd)
    finally:
        os.close(lock)


def import_(engine: Engine, stream: BinaryIO, wanted: str = "") -> str:
    """Makes a cache mount of a tar, compressed or not, in place of what was there; its id.

    `wanted` is the id; without it the archive says it, if `export` made it. The old content stays
    until the new one is whole, and builds that use it are waited for.
    """
    from kobako.engine.build.cache_mounts import name_of
    from kobako.layer.codec import open_reader

    engine.enter()  # before threads exist
    content, _ = open_reader(stream)
    start = content.read(2 * _BLOCK)
    told = _told(start)
    if told is not None and wanted in ("", told[0]):
        identity, name = told
    elif wanted:
        identity, name = wanted, name_of(wanted)
    else:
        raise Invalid(
            "the archive does not say whose cache mount it is",
            hint="Give the id: kobako builder cache-mount import ID",
        )
    directory = os.path.join(_base(engine), name)
    os.makedirs(_base(engine), mode=0o700, exist_ok=True)
    lock = _lock(directory, wait=True, make=True)
    try:
        _replace(engine, directory, identity, _Joined(start, content))
    finally:
        os.close(lock)
    return identity


def remove(directory: str, *, wait: bool) -> bool:
    """Removes a cache mount; False where it is in use (without `wait`) or gone."""
    lock = _lock(directory, wait=wait)
    if lock < 0:
        return False
    trash = f"{directory}.{os.getpid()}{_TRASH}"
    try:
        os.rename(directory, trash)
    except FileNotFoundError:
        return False
    finally:
        os.close(lock)
    _discard(trash)
    return True


def _base(engine: Engine) -> str:
    from kobako.engine.build.cache_mounts import place

    return place(engine.settings.root, engine.mode.format)


def _look(directory: str) -> Place | None:
    """A place as it is now; None for remains of one that was never complete."""
    from kobako.snapshot.usage import size_of_tree

    try:
        with open(os.path.join(directory, "id"), encoding="utf-8") as file:
            identity = file.read()
        tree = os.stat(os.path.join(directory, "tree"))
        used = os.stat(os.path.join(directory, "lock"))
    except (OSError, UnicodeDecodeError):
        return None
    lock = _lock(directory, wait=False)
    if lock >= 0:
        os.close(lock)
    return Place(
        identity,
        os.path.basename(directory),
        directory,
        size_of_tree(os.path.join(directory, "tree")),
        lock < 0,
        min(tree.st_ctime_ns, used.st_mtime_ns),
        used.st_mtime_ns,
    )


def _lock(directory: str, *, wait: bool, make: bool = False) -> int:
    """The place's lock, held alone; -1 where it is another's or the place is not there."""
    path = os.path.join(directory, "lock")
    while True:
        if make:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if make else 0), 0o600)
        except FileNotFoundError:
            return -1
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
        except BlockingIOError:
            os.close(fd)
            return -1
        except FileNotFoundError:  # removed while we waited
            pass
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _replace(engine: Engine, directory: str, identity: str, stream: _Joined) -> None:
    """Unpacks beside the tree and swaps; the place's lock is held."""
    from kobako.layer.apply import apply
    from kobako.linux.ownership import Owners
    from kobako.snapshot.driver import remove_tree

    new, tree = (os.path.join(directory, name) for name in ("tree.new", "tree"))
    _discard(new)
    try:
        os.mkdir(new, 0o755)
        fd = os.open(new, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            apply(stream, fd, engine.mode.format, Owners(), merge=True)  # type: ignore[arg-type]  # as much of a file as it reads
        finally:
            os.close(fd)
        with open(os.path.join(directory, "id"), "w", encoding="utf-8") as file:
            file.write(identity)
        if os.path.isdir(tree):
            old = f"{directory}.{os.getpid()}{_TRASH}"
            os.rename(tree, old)
            os.rename(new, tree)
            remove_tree(old)
        else:
            os.rename(new, tree)
    except OSError as fault:
        raise Unavailable(f"cache mount {identity}: {fault.strerror}") from fault
    finally:
        _discard(new)


def _discard(path: str) -> None:
    from kobako.snapshot.driver import remove_tree

    if os.path.lexists(path):
        remove_tree(path)


def _header(place: Place) -> bytes:
    """A global pax header with a comment: what tar programs pass over."""
    from kobako.layer.entry import Entry
    from kobako.layer.tar_writer import encode

    text = b" comment=" + _MARK + f"{place.name.partition('.')[0]} {place.id}\n".encode()
    length = len(text) + 2
    while len(b"%d" % length) + len(text) != length:
        length = len(b"%d" % length) + len(text)
    record = b"%d" % length + text
    head = bytearray(encode(Entry(b"pax_global_header", mode=0o644, size=len(record)))[:_BLOCK])
    head[156:157] = b"g"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + record + bytes(-len(record) % _BLOCK)


def _told(start: bytes) -> tuple[str, str] | None:
    """(id, name) an archive of ours begins with."""
    at = start.find(b" comment=" + _MARK)
    if at < 0 or start[156:157] != b"g":
        return None
    text = start[at + len(b" comment=" + _MARK) :].partition(b"\n")[0]
    name, _, identity = text.partition(b" ")
    if len(name) != 64 or name.strip(b"0123456789abcdef") or not identity:
        return None
    try:
        return identity.decode(), name.decode()
    except UnicodeDecodeError:
        return None


class _Joined:
    """What was read already, and the rest of the stream."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start = start
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        if self._start:
            given = self._start if size < 0 else self._start[:size]
            self._start = self._start[len(given) :]
            return given if size >= 0 else given + self._rest.read()
        return self._rest.read(size)
