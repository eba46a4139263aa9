"""What the dynamic loader reads of an ELF file: interpreter, needed libraries, search paths.

Follows the System V gABI, chapters 4 and 5. Only the program headers are used: section headers
may be stripped.
"""

from __future__ import annotations

import os
import struct

from kobako.errors import Invalid
from kobako.record import Record

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_STRSZ = 0, 1, 5, 10
_DT_SONAME, _DT_RPATH, _DT_RUNPATH = 14, 15, 29
_TABLE_LIMIT = 16 << 20  # no dynamic section or string table of a real library comes near

_HEADER = {1: "HHIIIIIHHHHHH", 2: "HHIQQQIHHHHHH"}
_PROGRAM_HEADER = {1: "IIIIIIII", 2: "IIQQQQQQ"}
_DYNAMIC = {1: "iI", 2: "qQ"}


class ElfObject(Record):
    """The loader's view of an executable or a shared library.

    `abi` is (class, byte order, machine): a library serves a program only if these are equal.
    `interpreter` is "" for libraries and static programs. `rpath` and `runpath` are split at
    colons, with `$ORIGIN` and friends as written.
    """

    abi: tuple[int, int, int]
    interpreter: str
    needed: tuple[str, ...]
    soname: str
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]


class _Segment(Record):
    type: int
    offset: int
    address: int
    size: int


def read(path: str) -> ElfObject | None:
    """The object at `path`, or None when the file is not ELF.

    Raises `OSError` when it cannot be read and `Invalid` when it is ELF but malformed.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return parse(fd, path)
    finally:
        os.close(fd)


def parse(fd: int, name: str) -> ElfObject | None:
    """As `read`, of an open file; `name` is for the error message."""
    ident = os.pread(fd, 16, 0)
    if ident[:4] != b"\x7fELF":
        return None
    try:
        return _parse(fd, ident)
    except (struct.error, IndexError, KeyError, ValueError, OverflowError) as fault:
        raise Invalid(f"{name} is a damaged ELF file: {fault}") from None


def _parse(fd: int, ident: bytes) -> ElfObject:
    width, order = ident[4], "<>"[ident[5] - 1]
    header = struct.Struct(order + _HEADER[width])
    fields = header.unpack(os.pread(fd, header.size, 16))
    machine, table, entry_size, count = fields[1], fields[4], fields[8], fields[9]
    segments = _segments(fd, width, order, table, entry_size, count)
    interpreter = ""
    values: list[tuple[int, int]] = []
    for segment in segments:
        if segment.type == _PT_INTERP:
            raw = os.pread(fd, min(segment.size, 4096), segment.offset)
            interpreter = os.fsdecode(raw.partition(b"\0")[0])
        elif segment.type == _PT_DYNAMIC:
            values = _dynamic(fd, width, order, segment)
    strings = _strings(fd, values, segments)
    several: dict[int, list[str]] = {}
    for tag, value in values:
        if tag in (_DT_NEEDED, _DT_SONAME, _DT_RPATH, _DT_RUNPATH):
            several.setdefault(tag, []).append(_string(strings, value))
    return ElfObject(
        abi=(width, ident[5], machine),
        interpreter=interpreter,
        needed=tuple(several.get(_DT_NEEDED, ())),
        soname="".join(several.get(_DT_SONAME, ())[:1]),
        rpath=_paths(several.get(_DT_RPATH)),
        runpath=_paths(several.get(_DT_RUNPATH)),
    )


def _segments(
    fd: int, width: int, order: str, table: int, entry_size: int, count: int
) -> list[_Segment]:
    layout = struct.Struct(order + _PROGRAM_HEADER[width])
    if count and entry_size < layout.size:
        raise ValueError(f"program headers of {entry_size} bytes")
    raw = os.pread(fd, entry_size * count, table)
    found = []
    for i in range(count):
        f = layout.unpack_from(raw, i * entry_size)
        offset, address, size = (f[1], f[2], f[4]) if width == 1 else (f[2], f[3], f[5])
        found.append(_Segment(f[0], offset, address, size))
    return found


def _dynamic(fd: int, width: int, order: str, segment: _Segment) -> list[tuple[int, int]]:
    layout = struct.Struct(order + _DYNAMIC[width])
    raw = os.pread(fd, min(segment.size, _TABLE_LIMIT), segment.offset)
    values = []
    for tag, value in layout.iter_unpack(raw[: len(raw) // layout.size * layout.size]):
        if tag == _DT_NULL:
            break
        values.append((tag, value))
    return values


def _strings(fd: int, values: list[tuple[int, int]], segments: list[_Segment]) -> bytes:
    single = dict(values)
    address, size = single.get(_DT_STRTAB), single.get(_DT_STRSZ, 0)
    if address is None:
        return b""
    for segment in segments:
        if segment.type == _PT_LOAD and 0 <= address - segment.address < segment.size:
            offset = segment.offset + address - segment.address
            return os.pread(fd, min(size, _TABLE_LIMIT), offset)
    raise ValueError("its string table lies in no segment")


def _string(strings: bytes, start: int) -> str:
    end = strings.find(b"\0", start)
    if not 0 <= start < len(strings) or end < 0:
        raise ValueError("a name lies outside the string table")
    return os.fsdecode(strings[start:end])


def _paths(values: list[str] | None) -> tuple[str, ...]:
    return tuple(p for v in values or () for p in v.split(":") if p)
