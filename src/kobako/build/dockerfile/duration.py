"""Durations as Go writes them: `1h30m`, `1.5s`, `100ms`."""

from __future__ import annotations

from kobako.build.dockerfile.source import Problem

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}


def parse_duration(text: str) -> int:
    """Nanoseconds. A text that is not a duration is a `Problem`."""
    rest = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    if rest == "0":
        return 0
    total = 0
    wrong = Problem(f'time: invalid duration "{text}"', text)
    if not rest:
        raise wrong
    while rest:
        digits = _span(rest, "0123456789.")
        unit = _letters(rest[digits:])
        number, scale = rest[:digits], _UNITS.get(rest[digits : digits + unit])
        if not number.strip(".") or number.count(".") > 1:
            raise wrong
        if unit == 0:
            raise Problem(f'time: missing unit in duration "{text}"', text)
        if scale is None:
            bad = rest[digits : digits + unit]
            raise Problem(f'time: unknown unit "{bad}" in duration "{text}"', text)
        whole, _, part = number.partition(".")
        total += int(whole or "0") * scale
        if part:
            total += int(part) * scale // 10 ** len(part)
        rest = rest[digits + unit :]
    if total >= 1 << 63:
        raise wrong
    return -total if text.startswith("-") else total


def _span(text: str, characters: str) -> int:
    return len(text) - len(text.lstrip(characters))


def _letters(text: str) -> int:
    for at, char in enumerate(text):
        if char in "0123456789.":
            return at
    return len(text)
