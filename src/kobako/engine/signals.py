"""Signals by the names users and images give them."""

from __future__ import annotations

from kobako.errors import Invalid


def number(name: str) -> int:
    """A signal's number from `9`, `KILL`, `sigterm` or `SIGRTMIN+3`."""
    import signal

    word = name.upper().removeprefix("SIG")
    if word.isdigit() and 0 < int(word) <= 64:
        return int(word)
    base, plus, offset = word.partition("+")
    found = getattr(signal, "SIG" + base, None)
    if isinstance(found, int) and (not plus or offset.isdigit()):
        return int(found) + (int(offset) if plus else 0)
    raise Invalid(f"Invalid signal: {name}")
