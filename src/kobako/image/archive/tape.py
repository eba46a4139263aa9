"""The outer tar of an image archive: few members, plain names, nothing to unpack to disk.

Far less than `layer.tar` knows: no owners, modes, times or sparse files, and members are only ever
read by name, so no path of an archive reaches the file system.
"""

from __future__ import annotations

from kobako.errors import Invalid
from kobako.image.archive.documents import member_name
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


BLOCK = 512
_CHUNK = 1 << 20
_MAX_EXTENSION = 1 << 20  # a long name or a pax header
_MAX_MEMBERS = 200_000
_EMPTY = bytes(BLOCK)


class Member(Record):
    """A member's header. `kind` is "file", "dir" or "link" (hard and symbolic alike: `target` is
    the member it stands for); `offset` is that of its content in the stream."""

    name: str
    kind: str
    size: int
    offset: int
    target: str = ""


class TapeReader:
    """Reads members in order from a stream that need not be seekable.

    For each member of `__iter__` the content may be read by `read`, wholly, partly or not at all.
    """

    def __init__(self, stream: BinaryIO, *, seek: bool = False) -> None:
        self._stream = stream
        self._seek = seek  # pass over content instead of reading it
        self._left = 0  # content of the current member
        self._padding = 0
        self._offset = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of the current member's content, b"" at its end."""
        if self._left == 0:
            return b""
        chunk = self._stream.read(min(size, self._left))
        if not chunk:
            raise Invalid("the archive is cut short")
        self._left -= len(chunk)
        self._offset += len(chunk)
        return chunk

    def __iter__(self) -> Iterator[Member]:
        long_name = long_target = ""
        extended: dict[str, str] = {}
        count = 0
        while (header := self._header()) is not None:
            kind = header[156:157]
            size = _number(header[124:136])
            if kind in (b"L", b"K", b"x", b"g"):
                data = self._extension(size)
                if kind == b"L":
                    long_name = _text(data)
                elif kind == b"K":
                    long_target = _text(data)
                elif kind == b"x":
                    extended = _pax(data)
                continue
            count += 1
            if count > _MAX_MEMBERS:
                raise Invalid(f"the archive has more than {_MAX_MEMBERS} members")
            if "size" in extended:
                size = _decimal(extended["size"])
            name = extended.get("path") or long_name or _name(header)
            target = extended.get("linkpath") or long_target or _text(header[157:257])
            long_name = long_target = ""
            extended = {}
            member = self._member(kind, name, target, size)
            self._begin(member.size)
            if member.name:
                yield member
            self._skip()

    def _member(self, kind: bytes, name: str, target: str, size: int) -> Member:
        if name.rstrip("/") in ("", "."):
            if kind != b"5":
                raise Invalid("a member of the archive has no name")
            return Member("", "dir", 0, self._offset)
        clean = member_name(name)
        if kind in (b"0", b"\0", b"7"):
            return Member(clean, "file", size, self._offset)
        if kind == b"5":
            return Member(clean, "dir", 0, self._offset)
        if kind == b"1":
            return Member(clean, "link", 0, self._offset, member_name(target))
        if kind == b"2":
            if target.startswith("/"):
                raise Invalid(f"the archive's {clean[:200]} is a link out of it")
            parent = clean.rpartition("/")[0]
            return Member(
                clean, "link", 0, self._offset, member_name(f"{parent}/{target}".lstrip("/"))
            )
        raise Invalid(f"the archive's {clean[:200]} is neither a file, a directory nor a link")

    def _header(self) -> bytes | None:
        header = self._exactly(BLOCK, at_end_ok=True)
        if not header or header == _EMPTY:
            return None
        stated = _number(header[148:156])
        if stated != sum(header[:148]) + 256 + sum(header[156:]):
            raise Invalid("not a tar archive, or a damaged one")
        return header

    def _extension(self, size: int) -> bytes:
        if size > _MAX_EXTENSION:
            raise Invalid(f"the archive has a header of {size} bytes")
        data = self._exactly(size)
        self._exactly(-size % BLOCK)
        return data

    def _begin(self, size: int) -> None:
        self._left = size
        self._padding = -size % BLOCK

    def _skip(self) -> None:
        if self._seek and self._left:
            self._stream.seek(self._left, 1)
            self._offset += self._left
            self._left = 0
        while self.read(_CHUNK):
            pass
        self._exactly(self._padding, at_end_ok=self._seek)
        self._padding = 0

    def _exactly(self, size: int, *, at_end_ok: bool = False) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self._stream.read(size - len(data))
            if not chunk:
                if at_end_ok and not data:
                    return b""
                raise Invalid("the archive is cut short")
            data += chunk
        self._offset += size
        return data


def _name(header: bytes) -> str:
    name = _text(header[:100])
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (len(field) * 8 - 1)) - 1)
        if value >= 1 << 62:
            raise Invalid("the archive has a member of absurd size")
        return value
    text = field.replace(b"\0", b" ").strip()
    if text.strip(b"01234567"):
        raise Invalid("not a tar archive, or a damaged one")
    return int(text or b"0", 8)


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Invalid("the archive has a member of absurd size")
    return int(text)


def _pax(data: bytes) -> dict[str, str]:
    """The records of a pax header that matter here."""
    found: dict[str, str] = {}
    while data:
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or len(length) > 7 or not 3 < int(length) <= len(data):
            raise Invalid("the archive has a malformed pax header")
        record = data[len(length) + 1 : int(length) - 1]
        key, equals, value = record.partition(b"=")
        if not equals:
            raise Invalid("the archive has a malformed pax header")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        data = data[int(length) :]
    return found
