"""A program for arm64 Linux, made by hand: it says a line and ends."""

from __future__ import annotations

import struct

_BASE = 0x400000


def arm64_program(text: bytes) -> bytes:
    """An ELF executable of `write(1, text)` and `exit(0)`."""

    def movz(register: int, value: int) -> int:
        return 0xD2800000 | value << 5 | register

    svc = 0xD4000001
    words = [movz(0, 1), 0, movz(2, len(text)), movz(8, 64), svc, movz(0, 0), movz(8, 93), svc]
    distance = (len(words) - 1) * 4  # from the ADR to the text behind the code
    words[1] = 0x10000000 | (distance & 3) << 29 | (distance >> 2) << 5 | 1
    code = struct.pack(f"<{len(words)}I", *words) + text
    start = 64 + 56
    size = start + len(code)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack(
        "<HHIQQQIHHHHHH", 2, 183, 1, _BASE + start, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x10000)
    return header + segment + code
