"""The machine the kernel runs seccomp filters on, for tests of programs that cannot run here."""

from __future__ import annotations

from struct import iter_unpack, pack, unpack_from


def run(program: bytes, nr: int, arch: int, args: tuple[int, ...] = ()) -> int:
    """What `program` returns for a system call. Raises on anything the kernel's checker refuses."""
    full = (*args, 0, 0, 0, 0, 0, 0)[:6]
    data = pack("<iIQ6Q", nr if nr < 1 << 31 else nr - (1 << 32), arch, 0, *full)
    code = list(iter_unpack("<HBBI", program))
    accumulator, at = 0, 0
    while True:
        operation, then, otherwise, k = code[at]
        at += 1
        if operation == 0x20:
            assert k % 4 == 0 and k < 64
            (accumulator,) = unpack_from("<I", data, k)
        elif operation == 0x54:
            accumulator &= k
        elif operation == 0x05:
            at += k
        elif operation == 0x06:
            return int(k)
        else:
            holds = {
                0x15: accumulator == k,
                0x35: accumulator >= k,
                0x45: bool(accumulator & k),
            }[operation]
            at += then if holds else otherwise
