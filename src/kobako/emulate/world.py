"""What every answer needs, and what an answer is."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.emulate.caller import Paths
    from kobako.emulate.credentials import Table
    from kobako.emulate.inodes import Inodes
    from kobako.emulate.memory import Memory
    from kobako.linux.notify import Listener

    Answer = Callable[["World", Listener], int]
    """Answers one notification: the value the call returns, `RESUME`, or `SENT`. An `OSError` is
    the call's error."""

RESUME = -1
"""The kernel is to carry the call out itself."""
SENT = -2
"""The notification has been answered already."""


class World:
    """The container as the supervisor knows it. One per supervisor; it has one thread."""

    __slots__ = ("credentials", "inodes", "memory", "paths")

    def __init__(self, memory: Memory, paths: Paths, inodes: Inodes, credentials: Table) -> None:
        self.memory = memory
        self.paths = paths
        self.inodes = inodes
        self.credentials = credentials


def still_there(call: Listener) -> None:
    """Must come between looking a thread up by its pid and changing anything on its behalf."""
    if not call.valid():
        raise ProcessLookupError
