"""All functions by name."""

from __future__ import annotations

from kobako.bake.functions import (
    attempts,
    collections,
    encoding,
    network,
    numbers,
    strings,
    times,
    versions,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.scope import Function

FUNCTIONS: dict[str, Function] = {
    **attempts.FUNCTIONS,
    **collections.FUNCTIONS,
    **encoding.FUNCTIONS,
    **network.FUNCTIONS,
    **numbers.FUNCTIONS,
    **strings.FUNCTIONS,
    **times.FUNCTIONS,
    **versions.FUNCTIONS,
}
