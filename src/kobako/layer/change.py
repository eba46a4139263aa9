"""What happened to one path of a tree, as `docker diff` says it."""

from __future__ import annotations

from kobako.record import Record


class Change(Record):
    """One changed path.

    path: absolute in the container ("/etc/passwd"; "/" is the root directory), undecodable bytes
        as surrogate escapes.
    kind: "A" added, "C" changed, "D" deleted.
    opaque: the directory hides everything lower layers have in it.
    """

    path: str
    kind: str
    opaque: bool = False


def path_order(change: Change) -> str:
    """Sort key: a directory, then all that is in it, then its next sibling."""
    return change.path.replace("/", "\0")
