"""The processes of the machine, most of which are others' and may end at any moment."""

from __future__ import annotations

import os
from pathlib import Path


def command_lines() -> dict[int, str]:
    """By pid, a space between two words. What ends meanwhile is left out."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                line = Path("/proc", name, "cmdline").read_bytes()
            except OSError:
                continue
            found[int(name)] = line.replace(b"\0", b" ").decode(errors="replace")
    return found
