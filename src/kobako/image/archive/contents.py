"""What an archive holds, by member name, whichever way it can be read.

    Contents
    ├── StreamedTar    a pipe, or a compressed file: everything is stored as it passes
    ├── SeekableTar    a plain file: headers first, then only what is needed
    └── LayoutFiles    a directory with an OCI image layout

Big members go straight into the content store under the digest they turn out to have; there is no
second copy, and content of an archive that is then refused is garbage the next gc removes.
"""

from __future__ import annotations

import io
import os

from kobako.errors import Corrupt, Invalid, NotFound
from kobako.image.archive.documents import member_name
from kobako.image.archive.tape import TapeReader
from kobako.image.archive.tee import Tee
from kobako.layer import codec
from kobako.oci.digest import Digest
from kobako.oci.document import MAX_DOCUMENT
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from kobako.image.archive.tape import Member
    from kobako.store import ContentStore

    OnLayer = Callable[[Digest | None, BinaryIO], None]

_CHUNK = 1 << 20
_SMALL = 1 << 20  # members up to here are kept in memory while streaming ...
_SMALL_TOTAL = 64 << 20  # ... as long as they are no more than this together
_LINK_DEPTH = 16


class Stored(Record):
    """A blob in the content store. `magic` are its first bytes, up to 512."""

    digest: Digest
    size: int
    magic: bytes


class Spooler:
    """Copies content into the store, to an unpacker as well where one is waiting for it.

    `on_layer(diff_id or None, stream)` is called in a thread of its own for a layer that has just
    begun to arrive; the stream gives the bytes as stored. It may return without reading them all.
    Of a plain tar the stream ends only if it has the DiffID: else reading fails.
    """

    def __init__(self, blobs: ContentStore, on_layer: OnLayer | None) -> None:
        self.blobs = blobs
        self._on_layer = on_layer

    def spool(
        self,
        read: Callable[[int], bytes],
        *,
        expected: Digest | None = None,
        diff_id: Digest | None = None,
        layer: bool = False,
    ) -> Stored:
        """Store what `read` gives until b"". `Corrupt` when it does not have the digest.

        An uncompressed layer must have its DiffID for a digest.
        """
        first = chunk = read(_CHUNK)
        if codec.detect(first) == codec.PLAIN:
            if diff_id is not None and diff_id.algorithm == "sha256":
                expected = expected or diff_id
            layer = layer and diff_id == expected
        size, tee = 0, None
        try:
            with self.blobs.writer(expected) as writer:
                if layer and self._on_layer:
                    tee = Tee(self._on_layer, diff_id, writer)
                while chunk:
                    writer.write(chunk)
                    size += len(chunk)
                    chunk = read(_CHUNK)
                digest = writer.commit()
        finally:
            fault = tee.join() if tee is not None else None
        if fault is not None:
            raise fault
        return Stored(digest, size, first[:512])

    def known(self, digest: Digest) -> Stored | None:
        """The blob as stored by somebody before us."""
        if not self.blobs.exists(digest):
            return None
        with self.blobs.open(digest) as file:
            magic = file.read(512)
        return Stored(digest, self.blobs.size(digest), magic)


class Contents:
    """Base: members by name."""

    def document(self, name: str) -> bytes | None:
        """A small member's bytes, None when there is no such member; `Invalid` above 8 MiB."""
        raise NotImplementedError

    def store(
        self,
        name: str,
        *,
        expected: Digest | None = None,
        diff_id: Digest | None = None,
        layer: bool = False,
    ) -> Stored | None:
        """Bring a member into the content store; None when there is no such member."""
        raise NotImplementedError


class SeekableTar(Contents):
    """A plain tar in a file: read by offset, only what is asked for."""

    def __init__(self, stream: BinaryIO, spooler: Spooler) -> None:
        self._stream = stream
        self._spooler = spooler
        self._start = stream.tell()
        self._end = stream.seek(0, 2)
        stream.seek(self._start)
        self._members = _Directory()
        for member in TapeReader(stream, seek=True):
            self._members.add(member)
            if self._start + member.offset + member.size > self._end:
                raise Invalid("the archive is cut short")

    def document(self, name: str) -> bytes | None:
        member = self._members.find(name)
        if member is None:
            return None
        _limit(member.name, member.size)
        self._stream.seek(self._start + member.offset)
        return _whole(self._stream.read, member.size)

    def store(
        self,
        name: str,
        *,
        expected: Digest | None = None,
        diff_id: Digest | None = None,
        layer: bool = False,
    ) -> Stored | None:
        member = self._members.find(name)
        if member is None:
            return None
        self._stream.seek(self._start + member.offset)
        left = member.size

        def read(size: int) -> bytes:
            nonlocal left
            chunk = self._stream.read(min(size, left))
            left -= len(chunk)
            if left and not chunk:
                raise Invalid("the archive is cut short")
            return chunk

        return self._spooler.spool(read, expected=expected, diff_id=diff_id, layer=layer)


class StreamedTar(Contents):
    """A tar that passes once: small members stay in memory, others are stored at once."""

    def __init__(self, stream: BinaryIO, spooler: Spooler) -> None:
        self._spooler = spooler
        self._members = _Directory()
        self._small: dict[str, bytes] = {}
        self._stored: dict[str, Stored] = {}
        total = 0
        tape = TapeReader(stream)
        for member in tape:
            if not self._members.add(member):
                continue
            if member.size <= _SMALL and total + member.size <= _SMALL_TOTAL:
                self._small[member.name] = _whole(tape.read, member.size)
                total += member.size
            else:
                self._stored[member.name] = self._spool(member, tape)

    def _spool(self, member: Member, tape: TapeReader) -> Stored:
        expected = _digest_in(member.name)
        head = tape.read(512)
        # An uncompressed layer named by its digest: that is its DiffID, so unpacking can begin.
        plain = head[257:262] == b"ustar"
        parts = [head]

        def read(size: int) -> bytes:
            return parts.pop() if parts else tape.read(size)

        diff_id = expected if plain else None
        return self._spooler.spool(read, expected=expected, diff_id=diff_id, layer=plain)

    def document(self, name: str) -> bytes | None:
        member = self._members.find(name)
        if member is None:
            return None
        _limit(member.name, member.size)
        if member.name in self._small:
            return self._small[member.name]
        return self._spooler.blobs.read(self._stored[member.name].digest, MAX_DOCUMENT)

    def store(
        self,
        name: str,
        *,
        expected: Digest | None = None,
        diff_id: Digest | None = None,
        layer: bool = False,
    ) -> Stored | None:
        member = self._members.find(name)
        if member is None:
            return None
        stored = self._stored.get(member.name)
        if stored is None:
            pieces = io.BytesIO(self._small[member.name])
            return self._spooler.spool(pieces.read, expected=expected, diff_id=diff_id, layer=layer)
        if expected is not None and stored.digest != expected:
            raise Corrupt(f"the archive's {name} has the digest {stored.digest}, not {expected}")
        return stored


class LayoutFiles(Contents):
    """An OCI image layout in a directory."""

    def __init__(self, directory: str, spooler: Spooler) -> None:
        self._directory = directory
        self._spooler = spooler

    def _open(self, name: str) -> io.BufferedReader | None:
        path = os.path.join(self._directory, member_name(name))
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        file = os.fdopen(fd, "rb")
        if not os.path.isfile(path):
            file.close()
            raise Invalid(f"{path} is not a file")
        return file

    def document(self, name: str) -> bytes | None:
        file = self._open(name)
        if file is None:
            return None
        with file:
            data = file.read(MAX_DOCUMENT + 1)
        _limit(name, len(data))
        return data

    def store(
        self,
        name: str,
        *,
        expected: Digest | None = None,
        diff_id: Digest | None = None,
        layer: bool = False,
    ) -> Stored | None:
        file = self._open(name)
        if file is None:
            return None
        with file:
            return self._spooler.spool(file.read, expected=expected, diff_id=diff_id, layer=layer)


class _Directory:
    """Members by name; links, as old `docker save` wrote for layers met twice, followed."""

    def __init__(self) -> None:
        self._files: dict[str, Member] = {}
        self._links: dict[str, str] = {}

    def add(self, member: Member) -> bool:
        """Note a member; whether it is a file with content. A second one of a name is refused."""
        if member.kind == "dir":
            return False
        if member.name in self._files or member.name in self._links:
            raise Invalid(f"the archive holds {member.name[:200]} twice")
        if member.kind == "link":
            self._links[member.name] = member.target
            return False
        self._files[member.name] = member
        return True

    def find(self, name: str) -> Member | None:
        name = member_name(name)
        for _ in range(_LINK_DEPTH):
            if name in self._files:
                return self._files[name]
            if name not in self._links:
                return None
            name = self._links[name]
        raise Invalid(f"the archive's {name[:200]} is a link that leads to itself")


def _digest_in(name: str) -> Digest | None:
    """The digest a member of a layout claims to have."""
    parts = name.split("/")
    if len(parts) == 3 and parts[0] == "blobs":
        return Digest.parse(f"{parts[1]}:{parts[2]}")
    return None


def _limit(name: str, size: int) -> None:
    if size > MAX_DOCUMENT:
        raise Invalid(f"the archive's {name[:200]} has {size} bytes: too many for a document")


def _whole(read: Callable[[int], bytes], size: int) -> bytes:
    pieces = []
    while size:
        chunk = read(size)
        if not chunk:
            raise Invalid("the archive is cut short")
        pieces.append(chunk)
        size -= len(chunk)
    return b"".join(pieces)


def require(stored: Stored | None, name: str) -> Stored:
    """`stored`, or `NotFound` for a member the archive names but does not hold."""
    if stored is None:
        raise NotFound(f"the archive does not hold {name[:200]}, which it names")
    return stored
