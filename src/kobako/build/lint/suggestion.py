"""The name somebody may have meant."""

from __future__ import annotations

from kobako.build.dockerfile.source import distance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_FAR = 3


def nearest(name: str, options: Iterable[str]) -> str:
    """The closest option, the first of several; "" when none is close. Case matters."""
    best, near = "", _FAR
    for option in options:
        found = distance(name, option, near)
        if found < near:
            best, near = option, found
    return best
