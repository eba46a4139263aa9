"""A classic BPF assembler: just what seccomp filters need, with labels for jumps.

The machine is described in the kernel's Documentation/userspace-api/seccomp_filter.rst and
linux/bpf_common.h: one accumulator, forward jumps of at most 255 instructions.
"""

from __future__ import annotations

from kobako.errors import Invalid

LD_W_ABS = 0x20
JEQ_K = 0x15
JGE_K = 0x35
JSET_K = 0x45
JA = 0x05
AND_K = 0x54
RET_K = 0x06

# struct seccomp_data: int nr; u32 arch; u64 instruction_pointer; u64 args[6]
DATA_NR = 0
DATA_ARCH = 4


def data_arg(index: int, *, high: bool = False) -> int:
    """The offset in seccomp_data of one half of argument `index` (little-endian machines)."""
    return 16 + 8 * index + (4 if high else 0)


class Assembler:
    """Collects instructions; `assemble` resolves the labels. Jumps go forward only."""

    def __init__(self) -> None:
        self._code: list[tuple[int, str | int, str | int, int]] = []
        self._labels: dict[str, int] = {}

    def label(self, name: str) -> None:
        if name in self._labels:
            raise Invalid(f"BPF label {name} is defined twice")
        self._labels[name] = len(self._code)

    def load(self, offset: int) -> None:
        """A = the 32-bit word of seccomp_data at `offset`."""
        self._code.append((LD_W_ABS, 0, 0, offset))

    def and_(self, mask: int) -> None:
        self._code.append((AND_K, 0, 0, mask))

    def jump(self, target: str) -> None:
        self._code.append((JA, target, 0, 0))

    def if_equal(self, value: int, then: str | int = 0, otherwise: str | int = 0) -> None:
        """Goes to a label when A == value (else to the other); 0 means the next instruction."""
        self._code.append((JEQ_K, then, otherwise, value))

    def if_at_least(self, value: int, then: str | int = 0, otherwise: str | int = 0) -> None:
        self._code.append((JGE_K, then, otherwise, value))

    def if_any_bit(self, mask: int, then: str | int = 0, otherwise: str | int = 0) -> None:
        self._code.append((JSET_K, then, otherwise, mask))

    def ret(self, value: int) -> None:
        self._code.append((RET_K, 0, 0, value))

    def assemble(self) -> bytes:
        """`struct sock_filter[]` in this machine's byte order (all of ours are little-endian)."""
        out = bytearray()
        for at, (code, then, otherwise, k) in enumerate(self._code):
            jt, jf = self._distance(at, then), self._distance(at, otherwise)
            if code == JA:
                jt, k = 0, jt
            if jt > 255 or jf > 255:
                raise Invalid(f"BPF jump at {at} to {then}/{otherwise} is too far")
            out += code.to_bytes(2, "little") + bytes((jt, jf)) + k.to_bytes(4, "little")
        return bytes(out)

    def _distance(self, at: int, target: str | int) -> int:
        if isinstance(target, int):
            return target
        if target not in self._labels:
            raise Invalid(f"BPF label {target} is not defined")
        distance = self._labels[target] - at - 1
        if distance < 0:
            raise Invalid(f"BPF label {target} is jumped to backwards")
        return distance
