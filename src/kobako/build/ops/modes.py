"""`--chmod`: octal or symbolic, as chmod(1) has it."""

from __future__ import annotations

from kobako.errors import Invalid

_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o1007}
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111}


class Mode:
    """A mode to give to files, absolute or relative to what they have."""

    def __init__(self, text: str) -> None:
        self.absolute: int | None = None
        self._clauses: list[tuple[int, list[tuple[str, str]]]] = []
        if text.isdigit():
            if text.strip("01234567") or int(text, 8) > 0o7777:
                raise Invalid(
                    f"invalid chmod parameter: '{text}'."
                    " it should be octal string and between 0 and 07777"
                )
            self.absolute = int(text, 8)
        else:
            self._clauses = [_clause(part, text) for part in text.split(",")]

    def of(self, mode: int, directory: bool) -> int:
        """The permission bits of a file that has `mode`."""
        if self.absolute is not None:
            return self.absolute
        for who, actions in self._clauses:
            for operator, letters in actions:
                mode = _apply(mode, who, operator, letters, directory)
        return mode


def _clause(part: str, text: str) -> tuple[int, list[tuple[str, str]]]:
    rest = part.lstrip("ugoa")
    letters = part[: len(part) - len(rest)]
    who = 0
    for letter in letters.replace("a", "ugo"):
        who |= _WHO[letter]
    actions: list[tuple[str, str]] = []
    for char in rest:
        if char in "+-=":
            actions.append((char, ""))
        elif not actions or char not in "rwxXstugo":
            raise Invalid(f"invalid chmod parameter: '{text}'")
        else:
            actions[-1] = (actions[-1][0], actions[-1][1] + char)
    if not actions:
        raise Invalid(f"invalid chmod parameter: '{text}'")
    return who or 0o7777, actions


def _apply(mode: int, who: int, operator: str, letters: str, directory: bool) -> int:
    bits = 0
    for letter in letters:
        if letter in _BITS:
            bits |= _BITS[letter] & who
        elif letter == "X":
            bits |= 0o111 & who if directory or mode & 0o111 else 0
        elif letter == "s":
            bits |= 0o6000 & who
        elif letter == "t":
            bits |= 0o1000 & who
        else:
            shift = {"u": 6, "g": 3, "o": 0}[letter]
            bits |= ((mode >> shift & 7) * 0o111) & who
    if operator == "+":
        return mode | bits
    if operator == "-":
        return mode & ~bits
    kept = 0o7000 if directory and "s" not in letters else 0
    return (mode & ~(who & 0o777)) & ~(who & 0o7000 & ~kept) | bits
