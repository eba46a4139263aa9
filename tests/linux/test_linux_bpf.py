"""What the assembler makes of a choice, on a machine that refuses what the kernel refuses."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bpf_machine import run
from kobako.linux.bpf import DATA_NR, Assembler, ranges

NUMBERS = st.integers(0, 1200)
LABELS = {"a": 1, "b": 2, "c": 3, "other": 4}


@given(st.dictionaries(NUMBERS, st.sampled_from(sorted(LABELS)), max_size=400))
def test_every_number_comes_to_its_label(targets: dict[int, str]) -> None:
    chosen = ranges(targets, "other")
    assert chosen[0][0] == 0
    assert all(a[0] < b[0] and a[1] != b[1] for a, b in pairwise(chosen))
    a = Assembler()
    a.load(DATA_NR)
    a.choose(chosen)
    for name, answer in LABELS.items():
        a.label(name)
        a.ret(answer)
    program = a.assemble()
    near = {number + step for number in targets for step in (-1, 0, 1)} | {
        0,
        1 << 31,
        (1 << 32) - 1,
    }
    for number in near - {-1}:
        assert run(program, number, 0) == LABELS[targets.get(number, "other")], number
