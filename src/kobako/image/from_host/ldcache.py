"""glibc's `/etc/ld.so.cache`: which file a library name stands for.

The format of sysdeps/generic/dl-cache.h ("glibc-ld.so.cache1.1"), which every glibc since 2.2
reads. The older "ld.so-1.7.0" table may precede it and is skipped.
"""

from __future__ import annotations

import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_MAGIC_OLD = b"ld.so-1.7.0\0"
_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER = struct.Struct("=20sIIB3xI12x")  # magic, entries, string bytes, flags, extensions
_ENTRY = struct.Struct("=iIIIQ")  # flags, name, path, OS version, hwcap
_FLAG_ELF_LIBC6 = 3
_ARCHITECTURE_FLAG = {"x86_64": 0x0300, "aarch64": 0x0A00, "riscv64": 0x1000, "s390x": 0x0400}


def parse(raw: bytes) -> dict[str, list[str]]:
    """Library name -> paths, the generic builds before those for better processors.

    A file in another format gives an empty table: the loader would ignore it as well.
    """
    start = 0
    if raw.startswith(_MAGIC_OLD) and len(raw) >= 16:
        start = 16 + struct.unpack_from("=I", raw, 12)[0] * 12
        start += -start % 8
    if raw[start : start + len(_MAGIC)] != _MAGIC or len(raw) < start + _HEADER.size:
        return {}
    count = _HEADER.unpack_from(raw, start)[1]
    generic: dict[str, list[str]] = {}
    special: dict[str, list[str]] = {}
    for i in range(count):
        at = start + _HEADER.size + i * _ENTRY.size
        if at + _ENTRY.size > len(raw):
            break
        _, name_at, path_at, _, hwcap = _ENTRY.unpack_from(raw, at)
        name, path = _string(raw, start + name_at), _string(raw, start + path_at)
        if name and path.startswith("/"):
            (special if hwcap else generic).setdefault(name, []).append(path)
    for name, paths in special.items():
        generic.setdefault(name, []).extend(paths)
    return generic


def build(libraries: Iterable[tuple[str, str]], machine: str) -> bytes | None:
    """A cache of (name, path) pairs; None where the flags of `machine` (uname's) are not known.

    Without a cache the loader still looks into its default directories.
    """
    kind = _ARCHITECTURE_FLAG.get(machine)
    if kind is None:
        return None
    # The loader searches by bisection in this order, greatest first.
    ordered = sorted(set(libraries), key=lambda pair: (_order(pair[0]), pair[1]), reverse=True)
    strings = bytearray()
    base = _HEADER.size + len(ordered) * _ENTRY.size
    table = bytearray()
    for name, path in ordered:
        name_at = base + len(strings)
        strings += os.fsencode(name) + b"\0"
        path_at = base + len(strings)
        strings += os.fsencode(path) + b"\0"
        table += _ENTRY.pack(_FLAG_ELF_LIBC6 | kind, name_at, path_at, 0, 0)
    endian = 2 if sys.byteorder == "little" else 3
    return _HEADER.pack(_MAGIC, len(ordered), len(strings), endian, 0) + table + strings


def _order(name: str) -> tuple[tuple[int, int], ...]:
    """The key of glibc's `_dl_cache_libcmp`: runs of digits compare as numbers, above other
    characters."""
    key: list[tuple[int, int]] = []
    i = 0
    while i < len(name):
        j = i
        while j < len(name) and "0" <= name[j] <= "9":
            j += 1
        if j > i:
            key.append((1, int(name[i:j])))
            i = j
        else:
            key.append((0, ord(name[i])))
            i += 1
    return tuple(key)


def _string(raw: bytes, start: int) -> str:
    end = raw.find(b"\0", start)
    return os.fsdecode(raw[start:end]) if 0 <= start < end else ""
