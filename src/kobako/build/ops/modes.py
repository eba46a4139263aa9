"""`--chmod`: octal, or symbolic as the BSDs' setmode(3) has it, which BuildKit follows.

It differs from GNU's chmod(1) where set-id and sticky bits meet `=`: `=` takes the set-id bits
away from directories too, and the sticky bit from nothing unless there is a `t`.
"""

from __future__ import annotations

from kobako.errors import Invalid
from kobako.record import Record

_WHO = {"a": 0o6777, "u": 0o4700, "g": 0o2070, "o": 0o0007}
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": 0o1000}
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_ANY_X = 0o111
_OTHERS = 0o007
_ALL = 0o6777
_STICKY = 0o1000


class _Change(Record):
    """`+` and `-` of `bits`; `X`, a `+` for what is a directory or can be executed; or what is
    done (`operator`) to the classes `who` with a copy of the bits of class `kind`."""

    kind: str
    bits: int = 0
    operator: str = ""
    who: int = 0


class Mode:
    """A mode to give to files, absolute or relative to what they have."""

    def __init__(self, text: str) -> None:
        self.absolute: int | None = None
        self._changes: list[_Change] = []
        if text.isascii() and text.isdigit():
            if text.strip("01234567") or int(text, 8) > 0o7777:
                raise Invalid(
                    f"invalid chmod parameter: '{text}'."
                    " it should be octal string and between 0 and 07777"
                )
            self.absolute = int(text, 8)
        else:
            for clause in text.split(","):
                self._changes += _clause(clause, text)

    def of(self, mode: int, directory: bool) -> int:
        """The permission bits of a file that has `mode`."""
        if self.absolute is not None:
            return self.absolute
        now = mode
        for change in self._changes:
            if change.kind == "-":
                now &= ~change.bits
            elif change.kind == "+":
                now |= change.bits
            elif change.kind != "X":
                now = _copied(now, change)
            elif directory or mode & _ANY_X:
                now |= change.bits
        return now


def _clause(clause: str, text: str) -> list[_Change]:
    rest = clause.lstrip("augo")
    who = 0
    for letter in clause[: len(clause) - len(rest)]:
        who |= _WHO[letter]
    if not rest or rest[0] not in "+-=" or rest.strip("+-=rwxXstugo"):
        raise Invalid(f"invalid chmod parameter: '{text}'")
    changes: list[_Change] = []
    at = 0
    while at < len(rest):
        end = at + 1
        while end < len(rest) and rest[end] not in "+-=":
            end += 1
        changes += _operation(rest[at], rest[at + 1 : end], who)
        at = end
    return changes


def _operation(operator: str, letters: str, who: int) -> list[_Change]:
    """One operator with its letters. Copies of other classes' bits come in between, in order."""
    changes: list[_Change] = []
    cleared = False
    bits = late = 0

    def flush(always: bool) -> None:
        nonlocal cleared, bits, late
        if operator == "=" and (bits or (always and not cleared)):
            changes.append(_Change("-", who or _ALL))
        if bits:
            changes.append(_Change("-" if operator == "-" else "+", bits & who if who else bits))
        if always and operator == "=":
            cleared = True

    for letter in letters:
        if letter in _SHIFTS:
            flush(False)
            cleared = True
            if late:
                changes.append(_Change("X", late & who if who else late))
            changes.append(_Change(letter, operator=operator, who=who))
            bits = late = 0
        elif letter == "X" and operator != "-":
            late = _ANY_X
        elif letter not in "st":
            bits |= _BITS["x" if letter == "X" else letter]
        elif who == 0 or who & ~_OTHERS:  # of others alone there is no such bit
            bits |= _BITS[letter]
            who |= _STICKY if letter == "t" else 0
    flush(True)
    if late:
        changes.append(_Change("X", late & who if who else late))
    return changes


def _copied(mode: int, change: _Change) -> int:
    value = mode >> _SHIFTS[change.kind] & 7
    for letter, shift in _SHIFTS.items():
        if change.who and not change.who & _WHO[letter] & 0o444:
            continue
        if change.operator != "+":
            mode &= ~((7 if change.operator == "=" else value) << shift)
        if change.operator != "-":
            mode |= value << shift
    return mode
