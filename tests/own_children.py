"""The children of this process: what a test leaves is told from what was there before it."""

from __future__ import annotations

import os


def own_children() -> set[int]:
    """Children of this process, running or not yet waited for. Nothing is collected by looking."""
    found = set()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                parent = file.read().rpartition(b")")[2].split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        if int(parent) == os.getpid():
            found.add(int(name))
    return found
