"""`semvercmp`: whether a version satisfies a constraint (as Masterminds/semver decides)."""

from __future__ import annotations

import re

from kobako.bake import values
from kobako.bake.functions.signature import function
from kobako.bake.source import Fault
from kobako.bake.values import STRING, Value
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.bake.scope import Function

_VERSION = (
    r"v?(?P<major>\d+|[xX*])(?:\.(?P<minor>\d+|[xX*]))?(?:\.(?P<patch>\d+|[xX*]))?"
    r"(?:-(?P<pre>[0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?"
)
_TERM = re.compile(r"\s*(?P<operator>=>|=<|>=|<=|!=|~>|[=<>~^])?\s*" + _VERSION + r"\s*,?")


class Version(Record):
    """`parts`: how many of the numbers were written; the rest count as wildcards in a term."""

    numbers: tuple[int, int, int]
    pre: str
    parts: int

    def key(self) -> tuple[object, ...]:
        """Sorts as versions do: a prerelease before its release."""
        return (*self.numbers, not self.pre, _pre_key(self.pre))


def _pre_key(pre: str) -> list[tuple[bool, int, str]]:
    return (
        [(not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in pre.split(".")] if pre else []
    )


def _read(match: re.Match[str]) -> Version:
    words = [match["major"], match["minor"], match["patch"]]
    parts = next((i for i, w in enumerate(words) if w is None or w in "xX*"), 3)
    numbers = [int(w) if i < parts and w else 0 for i, w in enumerate(words)]
    return Version((numbers[0], numbers[1], numbers[2]), match["pre"] or "", parts)


def _version(word: str) -> Version:
    match = re.fullmatch(_VERSION, word)
    if match is None or _read(match).parts == 0 or set(word) & set("*"):
        raise Fault("invalid semantic version")
    return _read(match)


def _next(version: Version, at: int) -> Version:
    """The lowest version whose number `at` is one higher."""
    numbers = [*version.numbers[:at], version.numbers[at] + 1, 0, 0][:3]
    return Version((numbers[0], numbers[1], numbers[2]), "", 3)


def _within(version: Version, low: Version, high: Version) -> bool:
    return low.key() <= version.key() and version.key() < high.key()


def _caret(version: Version, term: Version) -> bool:
    first = next((i for i, n in enumerate(term.numbers[: term.parts]) if n), term.parts - 1)
    return _within(version, term, _next(term, first))


def _tilde(version: Version, term: Version) -> bool:
    return _within(version, term, _next(term, 0 if term.parts == 1 else 1))


def _same(version: Version, term: Version) -> bool:
    if term.parts < 3:
        return version.numbers[: term.parts] == term.numbers[: term.parts]
    return version.key() == term.key()


def _above(version: Version, term: Version) -> bool:
    if term.parts < 3:
        return version.numbers[: term.parts] > term.numbers[: term.parts]
    return version.key() > term.key()


_CHECKS: dict[str, Callable[[Version, Version], bool]] = {
    "": _same,
    "=": _same,
    "!=": lambda v, t: not _same(v, t),
    ">": _above,
    "<": lambda v, t: v.key() < t.key(),
    ">=": lambda v, t: v.key() >= t.key(),
    "=>": lambda v, t: v.key() >= t.key(),
    "<=": lambda v, t: not _above(v, t),
    "=<": lambda v, t: not _above(v, t),
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}


def _term(version: Version, operator: str, term: Version) -> bool:
    if version.pre and not term.pre:  # a prerelease is only taken where one is asked for
        return operator == "!="
    if not term.parts:
        return operator not in ("!=", "<", ">")
    return _CHECKS[operator](version, term)


def _satisfies(version: Version, constraint: str) -> bool:
    low, dash, high = constraint.partition(" - ")
    if dash:
        constraint = f">={low} <={high}"
    at, found = 0, []
    while at < len(constraint):
        term = _TERM.match(constraint, at)
        if term is None:
            raise Fault(f"improper constraint: {constraint}")
        found.append(_term(version, term["operator"] or "", _read(term)))
        at = term.end()
    if not found:
        raise Fault(f"improper constraint: {constraint}")
    return all(found)


def _semvercmp(version: Value, constraint: Value) -> Value:
    given = _version(version.raw)
    return values.truth(any(_satisfies(given, part) for part in constraint.raw.split("||")))


FUNCTIONS: dict[str, Function] = {"semvercmp": function(_semvercmp, STRING, STRING)}
