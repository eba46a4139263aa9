"""Writing tar: ustar, with a pax header only for what ustar cannot say. One tree, one archive."""

from __future__ import annotations

from zlib import adler32

from kobako.errors import Invalid
from kobako.layer import pax
from kobako.layer.entry import DIRECTORY, FILE, Entry, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO, Protocol

    class Sink(Protocol):
        """Where archives go: anything that can be written to."""

        def write(self, data: bytes, /) -> object: ...


END = bytes(1024)
"""What closes an archive."""

_OCTAL_7 = 0o7777777
_OCTAL_11 = 0o77777777777
_MAGIC = b"ustar\x0000" + bytes(64)  # no user or group names
_NO_DEVICE = b"0000000\x000000000\0"


class TarWriter:
    """Writes members to `sink` in the order given; `finish` closes the archive."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def add(self, member: Entry, content: bytes | BinaryIO = b"") -> None:
        """Writes a member. For a file `content` has `member.size` bytes: itself or to be read."""
        self._sink.write(encode(member))
        if member.type != FILE:
            return
        if isinstance(content, bytes):
            if len(content) != member.size:
                raise Invalid(f"{shown(member.name)}: {len(content)} bytes for size {member.size}")
            self._sink.write(content)
        else:
            left = member.size
            while left:
                data = content.read(min(left, 1 << 20))
                if not data:
                    raise Invalid(f"{shown(member.name)}: {left} bytes missing of its content")
                self._sink.write(data)
                left -= len(data)
        self._sink.write(bytes(-member.size % 512))

    def finish(self) -> None:
        """Writes the two blocks that end an archive. The sink stays open."""
        self._sink.write(END)


def encode(member: Entry) -> bytes:
    """The header blocks of a member; a directory's name gets its slash here.

    A `sparse` one is of GNU's form 1.0: its map belongs to the header, its pieces follow.
    """
    if member.sparse is not None:
        return _sparse(member, member.sparse)
    return _encode(member, member.name, member.size, [])


def _sparse(member: Entry, pieces: Sequence[tuple[int, int]]) -> bytes:
    """Programs that know nothing of the form find the map under a name that is not the file's."""
    from kobako.layer import sparse

    places = sparse.written(pieces)
    directory, slash, base = member.name.rpartition(b"/")
    stored = len(places) + sum(length for _, length in pieces)
    records = [
        pax.record(b"GNU.sparse.major", b"1"),
        pax.record(b"GNU.sparse.minor", b"0"),
        pax.record(b"GNU.sparse.name", member.name),
        pax.record(b"GNU.sparse.realsize", b"%d" % member.size),
    ]
    name = directory + slash + b"GNUSparseFile.0/" + base
    return _encode(member, name, stored, records) + places


def _encode(member: Entry, name: bytes, size: int, records: list[bytes]) -> bytes:
    if member.type == DIRECTORY and not name.endswith(b"/"):
        name += b"/"
    prefix = b""
    if len(name) > 100:
        prefix, short = _split(name)
        if not short:
            records.append(pax.record(b"path", name))
            short = name[:100]
        name = short
    link = member.link
    if len(link) > 100:
        records.append(pax.record(b"linkpath", link))
        link = link[:100]
    size = size if member.type == FILE else 0
    if size > _OCTAL_11:
        records.append(pax.record(b"size", b"%d" % size))
        size = 0
    uid, gid = member.uid, member.gid
    if uid > _OCTAL_7:
        records.append(pax.record(b"uid", b"%d" % uid))
        uid = 0
    if gid > _OCTAL_7:
        records.append(pax.record(b"gid", b"%d" % gid))
        gid = 0
    mtime, fraction = divmod(member.mtime_ns, 10**9)
    if fraction or not 0 <= mtime <= _OCTAL_11:
        records.append(pax.record(b"mtime", pax.format_timestamp(member.mtime_ns)))
        mtime = mtime if 0 <= mtime <= _OCTAL_11 else 0
    if member.xattrs:
        for key in sorted(member.xattrs):
            records.append(pax.record(pax.SCHILY_XATTR + key, member.xattrs[key]))
    device = _NO_DEVICE
    if member.major or member.minor:
        device = b"%07o\0%07o\0" % (member.major & _OCTAL_7, member.minor & _OCTAL_7)
    header = _header(name, member.mode, uid, gid, size, mtime, member.type, link, device, prefix)
    return _extended(member.name, records) + header if records else header


def _header(
    name: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    kind: bytes,
    link: bytes,
    device: bytes,
    prefix: bytes,
) -> bytes:
    start = name.ljust(100, b"\0") + b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        mode,
        uid,
        gid,
        size,
        mtime,
    )
    end = kind + link.ljust(100, b"\0") + _MAGIC + device + prefix.ljust(167, b"\0")
    blanked = start + b"        " + end
    # Adler-32's low half is 1 plus the sum of the bytes; for ASCII it cannot wrap (512 * 127)
    total = (adler32(blanked) & 0xFFFF) - 1 if blanked.isascii() else sum(blanked)
    return b"%b%06o\0 %b" % (start, total, end)


def _split(name: bytes) -> tuple[bytes, bytes]:
    """Cuts a long name into ustar's prefix and name; both empty where it does not fit."""
    if len(name) > 256:
        return b"", b""
    cut = name.find(b"/", len(name) - 101, 156)
    if cut <= 0 or cut == len(name) - 1:
        return b"", b""
    return name[:cut], name[cut + 1 :]


def _extended(name: bytes, records: list[bytes]) -> bytes:
    data = b"".join(records)
    base = name.rstrip(b"/").rpartition(b"/")[2][:80]
    header = _header(b"PaxHeaders.0/" + base, 0o644, 0, 0, len(data), 0, b"x", b"", _NO_DEVICE, b"")
    return header + data + bytes(-len(data) % 512)
