"""Reading tar: ustar, v7, GNU and pax members as one stream of entries.

POSIX.1-2024 pax (ustar and pax interchange formats), GNU tar manual "Basic Tar Format". Where
archives are ambiguous this reads as Go's archive/tar does, which made most layers there are.
"""

from __future__ import annotations

from zlib import adler32

from kobako.errors import Corrupt, Invalid
from kobako.layer import entry as kinds
from kobako.layer import pax, sparse
from kobako.layer.blocks import BLOCK, Blocks
from kobako.layer.entry import Entry, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_ZERO = bytes(512)
_ID_LIMIT = (1 << 32) - 2  # 2**32-1 means "leave as it is" to chown
_TIME_LIMIT = (1 << 40) * 10**9
_SPECIAL_LIMIT = pax.LIMIT

_TYPES = {
    b"0": kinds.FILE,
    b"\0": kinds.FILE,
    b"7": kinds.FILE,  # contiguous file
    b"S": kinds.FILE,  # GNU sparse
    b"1": kinds.HARDLINK,
    b"2": kinds.SYMLINK,
    b"3": kinds.CHAR,
    b"4": kinds.BLOCK,
    b"5": kinds.DIRECTORY,
    b"D": kinds.DIRECTORY,  # GNU incremental dump
    b"6": kinds.FIFO,
}


def read_entries(stream: BinaryIO) -> Iterator[tuple[Entry, TarReader]]:
    """Every member of an uncompressed tar with the reader that gives its content.

    Ask the reader for `pieces()` or `read()` before the next step; what is not read is skipped.
    """
    reader = TarReader(Blocks(lambda: stream.read(BLOCK)))
    for member in reader:
        yield member, reader


class TarReader:
    """Iterates over the entries of an archive; `pieces()` and `read()` belong to the latest.

    Raises `Invalid` for malformed and `Corrupt` for damaged or truncated archives, naming the
    entry. Memory is bounded, whatever the archive says.
    """

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._left = 0  # content bytes not yet read
        self._padding = 0
        self._global: dict[bytes, bytes] = {}
        self._last = b""

    def __iter__(self) -> Iterator[Entry]:
        while True:
            try:
                self._blocks.skip(self._left + self._padding)
                self._left = self._padding = 0
                member = self._next()
            except (Invalid, Corrupt) as fault:
                place = f"after {shown(self._last)}" if self._last else "at the start"
                raise type(fault)(f"tar entry {place}: {fault}") from None
            if member is None:
                return
            self._last = member.name
            yield member

    def pieces(self) -> Iterator[memoryview]:
        """The content of the latest entry that is stored, piece by piece, once."""
        for piece in self._blocks.pieces(self._left):
            self._left -= len(piece)
            yield piece

    def read(self, limit: int = BLOCK * 64) -> bytes:
        """The content of the latest entry in one; `Invalid` when longer than `limit` bytes."""
        if self._left > limit:
            raise Invalid(f"tar entry {shown(self._last)} is larger than {limit} bytes")
        data = self._blocks.take(self._left)
        self._left = 0
        return data

    @property
    def stored(self) -> int:
        """Bytes of the latest entry's content not yet read."""
        return self._left

    def _next(self) -> Entry | None:
        records: dict[bytes, bytes] = {}
        long_name = long_link = b""
        while True:
            header = self._blocks.upto(512)
            if not header or header == _ZERO:
                self._end(header, bool(records or long_name or long_link))
                return None
            if len(header) < 512:
                raise Corrupt("truncated tar archive: it ends within a header")
            _verify_checksum(header)
            flag = header[156:157]
            if flag not in b"LKxgXV":
                return self._member(header, flag, records, long_name, long_link)
            if flag == b"V":  # a volume's label
                continue
            data = self._special(header)
            if flag == b"L":
                long_name = data.partition(b"\0")[0]
            elif flag == b"K":
                long_link = data.partition(b"\0")[0]
            else:
                pax.update(self._global if flag == b"g" else records, data)

    def _end(self, header: bytes, pending: bool) -> None:
        if pending:
            raise Corrupt("truncated tar archive: an extended header without its entry")
        if header and self._blocks.upto(512) not in (_ZERO, b""):
            raise Invalid("a lone block of zeros within the archive")

    def _special(self, header: bytes) -> bytes:
        size = number(header[124:136], "size")
        if not 0 <= size <= _SPECIAL_LIMIT:
            raise Invalid(f"an extended header of {size} bytes: at most {_SPECIAL_LIMIT}")
        data = self._blocks.take(size)
        self._blocks.skip(-size % 512)
        return data

    def _member(
        self, header: bytes, flag: bytes, records: dict[bytes, bytes], name: bytes, link: bytes
    ) -> Entry:
        kind = _TYPES.get(flag)
        name = name or _name(header)
        if kind is None:
            raise Invalid(f"{shown(name)} is of the unknown type {flag!r}")
        member = Entry(
            name,
            kind,
            number(header[100:108], "mode") & 0o7777,
            number(header[108:116], "uid"),
            number(header[116:124], "gid"),
            number(header[124:136], "size"),
            number(header[136:148], "mtime") * 10**9,
            link or header[157:257].partition(b"\0")[0],
        )
        if kind == kinds.CHAR or kind == kinds.BLOCK:
            member.major = number(header[329:337], "device number")
            member.minor = number(header[337:345], "device number")
        if self._global or records:
            records = {**self._global, **records}
            _apply_records(member, records)
        if flag == b"\0" and member.name.endswith(b"/"):
            member.type = kind = kinds.DIRECTORY
        _check(member)
        if kind != kinds.FILE:
            member.size = 0  # as Go reads it: such a member has no content
            return member
        self._left = member.size
        self._padding = -member.size % 512
        if flag == b"S":
            member.sparse, member.size = sparse.old_gnu(header, self._blocks, number)
        elif b"GNU.sparse.major" in records or pax.SPARSE_MAP in records:
            self._pax_sparse(member, records)
        if member.sparse is not None:
            sparse.check(list(member.sparse), member.size, self._left)
        return member

    def _pax_sparse(self, member: Entry, records: dict[bytes, bytes]) -> None:
        size = records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size") or b""
        member.size = pax.decimal(size, "GNU.sparse.size")
        member.name = records.get(b"GNU.sparse.name", member.name)
        if records.get(b"GNU.sparse.major") == b"1":
            member.sparse, taken = sparse.pax_1(self._blocks, self._left)
            if taken > self._left:
                raise Invalid("malformed sparse map")
            self._left -= taken
        else:
            member.sparse = sparse.pax_0(records.get(pax.SPARSE_MAP, b""))


def number(field: bytes, what: str = "number") -> int:
    """A number in octal digits or, with the top bit set, in GNU's base 256."""
    if field[0] & 0x80:
        bits = 8 * len(field) - 1
        value = int.from_bytes(field, "big") & ((1 << bits) - 1)
        return value - (1 << bits) if field[0] & 0x40 else value
    text = field.partition(b"\0")[0].strip(b" ")
    if not text:
        return 0
    try:
        if not text.isdigit():
            raise ValueError
        return int(text, 8)
    except ValueError:
        raise Invalid(f"its {what} is {text!r}, not octal digits") from None


def _verify_checksum(header: bytes) -> None:
    """By Adler-32, whose low half is 1 plus the sum modulo 65521: 30 times faster than sum()."""
    stated = number(header[148:156], "checksum")
    blanked = header[:148] + b"        " + header[156:]
    if adler32(blanked) & 0xFFFF == (stated + 1) % 65521:
        return
    if sum(b - 256 if b > 127 else b for b in blanked) != stated:  # as some old tars add
        raise Corrupt("its header does not match its checksum: not a tar archive, or damaged")


def _name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    if header[257:263] != b"ustar\0" or not header[345]:
        return name
    # star keeps times in the last 24 bytes of the prefix
    end = 476 if header[508:512] == b"tar\0" else 500
    return header[345:end].partition(b"\0")[0] + b"/" + name


def _apply_records(member: Entry, records: dict[bytes, bytes]) -> None:
    member.name = records.get(b"path", member.name)
    member.link = records.get(b"linkpath", member.link)
    if b"size" in records:
        member.size = pax.decimal(records[b"size"], "size")
    if b"uid" in records:
        member.uid = pax.decimal(records[b"uid"], "uid")
    if b"gid" in records:
        member.gid = pax.decimal(records[b"gid"], "gid")
    if b"mtime" in records:
        member.mtime_ns = pax.timestamp(records[b"mtime"])
    member.xattrs = pax.xattrs(records)


def _check(member: Entry) -> None:
    if not member.name or b"\0" in member.name or b"\0" in member.link:
        raise Invalid(f"{shown(member.name)} is not a file name")
    if not 0 <= member.size < 1 << 63:
        raise Invalid(f"{shown(member.name)} has the size {member.size}")
    if not 0 <= member.uid <= _ID_LIMIT or not 0 <= member.gid <= _ID_LIMIT:
        raise Invalid(f"{shown(member.name)} is owned by {member.uid}:{member.gid}")
    if not 0 <= member.major < 1 << 32 or not 0 <= member.minor < 1 << 32:
        raise Invalid(f"{shown(member.name)} has a device number out of range")
    member.mtime_ns = max(-_TIME_LIMIT, min(member.mtime_ns, _TIME_LIMIT))
