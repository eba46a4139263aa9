"""A classic BPF assembler: just what seccomp filters need, with labels for jumps.

The machine is described in the kernel's Documentation/userspace-api/seccomp_filter.rst and
linux/bpf_common.h: one accumulator, forward jumps of at most 255 instructions.
"""

from __future__ import annotations

from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


def ranges(targets: Mapping[int, str], otherwise: str) -> list[tuple[int, str]]:
    """What `Assembler.choose` takes, for numbers that have labels; all others go `otherwise`."""
    found = [(0, otherwise)]
    for number in sorted(targets):
        for first, target in ((number, targets[number]), (number + 1, otherwise)):
            if found[-1][0] == first:
                found.pop()
            if not found or found[-1][1] != target:
                found.append((first, target))
    return found


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

    def choose(self, ranges: Sequence[tuple[int, str]]) -> None:
        """Goes to the label of the range that A is in: each begins at its number, in order, and
        reaches to the next one; the first begins at 0. Found by halving."""
        if len(ranges) == 1:
            self.jump(ranges[0][1])
            return
        middle = len(ranges) // 2
        left, right = ranges[:middle], ranges[middle:]
        behind = f"choice {len(self._code)}"
        self.if_at_least(
            right[0][0],
            right[0][1] if len(right) == 1 else behind,
            left[0][1] if len(left) == 1 else 0,
        )
        if len(left) > 1:
            self.choose(left)
        if len(right) > 1:
            self.label(behind)
            self.choose(right)

    def ret(self, value: int) -> None:
        self._code.append((RET_K, 0, 0, value))

    def assemble(self) -> bytes:
        """`struct sock_filter[]` in this machine's byte order (all of ours are little-endian).

        A comparison whose target is out of reach jumps by way of an unconditional jump."""
        far: set[int] = set()
        while True:
            starts = self._starts(far)
            found = {at for at in range(len(self._code)) if self._is_far(at, starts)}
            if found <= far:
                return b"".join(
                    self._encode(at, starts, at in far) for at in range(len(starts) - 1)
                )
            far |= found

    def _starts(self, far: set[int]) -> list[int]:
        starts = [0]
        for at in range(len(self._code)):
            starts.append(starts[-1] + (3 if at in far else 1))
        return starts

    def _is_far(self, at: int, starts: list[int]) -> bool:
        code, then, otherwise, _ = self._code[at]
        if code == JA:
            return False
        return any(self._target(at, t, starts) - starts[at] - 1 > 255 for t in (then, otherwise))

    def _encode(self, at: int, starts: list[int], far: bool) -> bytes:
        code, then, otherwise, k = self._code[at]
        place = starts[at]
        if code == JA:
            return _instruction(JA, 0, 0, self._target(at, then, starts) - place - 1)
        jt = self._target(at, then, starts) - place - 1
        jf = self._target(at, otherwise, starts) - place - 1
        if not far:
            return _instruction(code, jt, jf, k)
        long = _instruction(JA, 0, 0, jt - 1) + _instruction(JA, 0, 0, jf - 2)
        return _instruction(code, 0, 1, k) + long

    def _target(self, at: int, target: str | int, starts: list[int]) -> int:
        """Where a jump of instruction `at` leads: a label, or so many instructions further."""
        if isinstance(target, int):
            if at + 1 + target >= len(starts):
                return starts[-1]
            return starts[at + 1 + target]
        if target not in self._labels:
            raise Invalid(f"BPF label {target} is not defined")
        if self._labels[target] <= at:
            raise Invalid(f"BPF label {target} is jumped to backwards")
        return starts[self._labels[target]]


def _instruction(code: int, jt: int, jf: int, k: int) -> bytes:
    return code.to_bytes(2, "little") + bytes((jt, jf)) + k.to_bytes(4, "little")
