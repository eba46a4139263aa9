"""A runtime-spec `linux.seccomp` section -> the program the kernel runs.

For each machine of the section the numbers of its calls are cut into ranges with the same answer,
and the range of a call is found by halving: six or seven comparisons. As with runc, a call newer
than all the profile names does not exist (ENOSYS) rather than being forbidden, so that programs
fall back to what they did before there was one.
"""

from __future__ import annotations

from kobako.errors import Invalid, Unsupported
from kobako.linux import seccomp, syscall_names
from kobako.linux.bpf import DATA_ARCH, DATA_NR, Assembler, data_arg

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_EPERM, _ENOSYS = 1, 38
_X32_BIT = 0x40000000
_MACHINES = {  # SCMP_ARCH_ -> (name in syscall_names, AUDIT_ARCH_)
    "X86_64": ("x86_64", 0xC000003E),
    "X86": ("i386", 0x40000003),
    "AARCH64": ("aarch64", 0xC00000B7),
    "ARM": ("arm", 0x40000028),
}
NATIVE = {"x86_64": "X86_64", "aarch64": "AARCH64"}
_ACTIONS = {
    "KILL": seccomp.RET_KILL_THREAD,
    "KILL_THREAD": seccomp.RET_KILL_THREAD,
    "KILL_PROCESS": seccomp.RET_KILL_PROCESS,
    "TRAP": seccomp.RET_TRAP,
    "LOG": seccomp.RET_LOG,
    "ALLOW": seccomp.RET_ALLOW,
}
_FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 0,  # there is one thread
    "SECCOMP_FILTER_FLAG_LOG": seccomp.FLAG_LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": seccomp.FLAG_SPEC_ALLOW,
}

Condition = tuple[int, str, int, int]  # (argument, operator, value, second value)
Leaf = tuple[tuple[tuple[Condition, ...], int], ...]  # the first whose conditions hold answers


def program(section: dict[str, Any], machine: str) -> bytes:
    """The `sock_filter[]` of a section on a `machine` as uname(2) spells it.

    Names no machine has are passed over. `Invalid` and `Unsupported` name what is wrong.
    """
    default = _answer(section.get("defaultAction"), section.get("defaultErrnoRet"))
    wanted = {_word(a, "SCMP_ARCH_") for a in section.get("architectures") or ()}
    wanted.add(NATIVE[machine])
    a = Assembler()
    a.load(DATA_ARCH)
    present = [arch for arch in _MACHINES if arch in wanted]
    for arch in present:
        a.if_equal(_MACHINES[arch][1], arch)
    a.ret(seccomp.RET_KILL_THREAD)
    for arch in present:
        a.label(arch)
        a.load(DATA_NR)
        numbers = syscall_names.numbers(_MACHINES[arch][0])
        if arch == "X86_64":
            if "X32" in wanted:
                a.and_(0xFFFFFFFF & ~_X32_BIT)
            else:
                a.if_at_least(_X32_BIT, "x32", 0)
        leaves = _leaves(section, numbers, default)
        if arch == "X86_64" and "X32" in wanted:
            own = syscall_names.x32_numbers()
            leaves |= {own[n]: leaves[numbers[n]] for n in own if numbers[n] in leaves}
        _Tree(a, arch, _ranges(leaves, default)).emit()
    if "X86_64" in present and "X32" not in wanted:
        a.label("x32")
        a.ret(seccomp.RET_KILL_THREAD)
    return a.assemble()


def flags(section: dict[str, Any]) -> int:
    """The flags of seccomp(2) a section asks for."""
    found = seccomp.FLAG_SPEC_ALLOW if section.get("flags") is None else 0
    for name in section.get("flags") or ():
        if name not in _FLAGS:
            raise Unsupported(f"seccomp profile: the flag {name} is not supported")
        found |= _FLAGS[name]
    return found


def _word(value: Any, prefix: str) -> str:
    if not isinstance(value, str) or not value.startswith(prefix):
        raise Invalid(f"seccomp profile: {value!r} does not begin with {prefix}")
    return value[len(prefix) :]


def _answer(action: Any, errno: Any) -> int:
    """What a filter returns for an action of the specification."""
    word = _word(action, "SCMP_ACT_")
    if word == "ERRNO":
        return int(seccomp.RET_ERRNO | ((_EPERM if errno is None else errno) & 0xFFFF))
    if word == "TRACE":
        return int(seccomp.RET_TRACE | ((_EPERM if errno is None else errno) & 0xFFFF))
    if word == "NOTIFY":
        raise Unsupported("seccomp profile: SCMP_ACT_NOTIFY needs an agent, which is not supported")
    if word not in _ACTIONS:
        raise Invalid(f"seccomp profile: unknown action {action}")
    return _ACTIONS[word]


def _leaves(section: dict[str, Any], numbers: dict[str, int], default: int) -> dict[int, Leaf]:
    """Number -> answers, for the calls the section names and the machine has.

    Rules of one call are alternatives; one without conditions leaves the others without meaning.
    """
    found: dict[int, Leaf] = {}
    for rule in section.get("syscalls") or ():
        answer = _answer(rule.get("action"), rule.get("errnoRet"))
        alternatives = [
            (conditions, answer) for conditions in _alternatives(rule.get("args") or ())
        ]
        for name in rule.get("names") or ():
            number = numbers.get(name)
            if number is None:
                continue
            before = found.get(number, ())
            if any(not conditions for conditions, _ in before):
                continue
            found[number] = tuple(alternatives) if not alternatives[0][0] else (
                *before, *alternatives)  # fmt: skip
    return {n: leaf if not leaf[-1][0] else (*leaf, ((), default)) for n, leaf in found.items()}


def _alternatives(arguments: Any) -> list[tuple[Condition, ...]]:
    """A rule's conditions hold together; several of one argument are alternatives, as in runc."""
    found: list[Condition] = []
    for argument in arguments:
        index, value = argument.get("index", 0), argument.get("value", 0)
        second = argument.get("valueTwo", 0)
        operator = _word(argument.get("op"), "SCMP_CMP_")
        if not 0 <= index <= 5:
            raise Invalid(f"seccomp profile: there is no argument {index}")
        if operator not in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"):
            raise Invalid(f"seccomp profile: unknown operator {argument.get('op')}")
        found.append((index, operator, value & _ALL, second & _ALL))
    if len({c[0] for c in found}) < len(found):
        return [(c,) for c in found]
    return [tuple(found)]


_ALL = (1 << 64) - 1


def _ranges(leaves: dict[int, Leaf], default: int) -> list[tuple[int, Leaf]]:
    """(first number, answers) in order; each reaches to the next."""
    unnamed: Leaf = (((), default),)
    newer = unnamed if _is_permissive(default) else (((), seccomp.RET_ERRNO | _ENOSYS),)
    newest = max((n for n in leaves if n < syscall_names.X32_FIRST), default=-1)
    leaves = {newest + 1: newer, **leaves}
    out: list[tuple[int, Leaf]] = []
    end = 0
    for number in sorted(leaves):
        if end < number:
            _extend(out, end, unnamed if number <= newest else newer)
        _extend(out, number, leaves[number])
        end = number + 1
    _extend(out, end, newer)
    return out


def _extend(ranges: list[tuple[int, Leaf]], number: int, leaf: Leaf) -> None:
    if not ranges or ranges[-1][1] != leaf:
        ranges.append((number, leaf))


def _is_permissive(answer: int) -> bool:
    """Whether calls nobody named are to go on; a tracer is trusted to know about new ones."""
    return answer & 0xFFFF0000 in (seccomp.RET_ALLOW, seccomp.RET_LOG, seccomp.RET_TRACE)


class _Tree:
    """Code that finds the answers to the number in the accumulator."""

    def __init__(self, assembler: Assembler, name: str, ranges: list[tuple[int, Leaf]]) -> None:
        self._a = assembler
        self._name = name
        self._ranges = ranges
        self._labels = 0

    def emit(self) -> None:
        labels: dict[Leaf, str] = {}
        for _, leaf in self._ranges:
            if leaf not in labels:
                labels[leaf] = self._label()
        self._a.choose([(first, labels[leaf]) for first, leaf in self._ranges])
        for leaf, label in labels.items():
            self._a.label(label)
            self._leaf(leaf)

    def _label(self) -> str:
        self._labels += 1
        return f"{self._name} {self._labels}"

    def _leaf(self, leaf: Leaf) -> None:
        for conditions, answer in leaf:
            otherwise = self._label()
            for condition in conditions:
                self._test(condition, otherwise)
            self._a.ret(answer)
            self._a.label(otherwise)

    def _test(self, condition: Condition, otherwise: str) -> None:
        """Goes on behind when the condition holds, else to a label."""
        index, operator, value, second = condition
        if operator == "MASKED_EQ":
            self._equal(index, value, second, otherwise)
            return
        if operator == "EQ":
            self._equal(index, _ALL, value, otherwise)
            return
        holds = self._label()
        if operator == "NE":
            self._equal(index, _ALL, value, holds)
            self._a.jump(otherwise)
        elif operator in ("GE", "GT"):
            self._at_least(index, value + (operator == "GT"), holds, otherwise)
        else:
            self._at_least(index, value + (operator == "LE"), otherwise, holds)
        self._a.label(holds)

    def _equal(self, index: int, mask: int, value: int, otherwise: str) -> None:
        for high in (True, False):
            shift = 32 if high else 0
            part = mask >> shift & 0xFFFFFFFF
            expected = value >> shift & 0xFFFFFFFF
            if not part and not expected:
                continue
            self._a.load(data_arg(index, high=high))
            if part != 0xFFFFFFFF:
                self._a.and_(part)
            self._a.if_equal(expected, 0, otherwise)

    def _at_least(self, index: int, value: int, then: str, otherwise: str) -> None:
        if value > _ALL:
            self._a.jump(otherwise)
            return
        high, low = value >> 32, value & 0xFFFFFFFF
        self._a.load(data_arg(index, high=True))
        if high < 0xFFFFFFFF:
            self._a.if_at_least(high + 1, then)
        self._a.if_equal(high, 0, otherwise)
        self._a.load(data_arg(index))
        self._a.if_at_least(low, then, otherwise)
