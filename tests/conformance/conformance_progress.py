"""What a build says of itself as plain lines, without what is of the moment: blocks of vertices.

Recorded from buildx (`progress.json`): the vertices of each build, in any order, and their lines.
"""

from __future__ import annotations

import re
from typing import Any

_LINE = re.compile(r"#(\d+) (.*)")
_MOMENT = (
    (re.compile(r"sha256:[0-9a-f]{64}"), "DIGEST"),
    (re.compile(r"^\d+\.\d+ "), "TIME "),
    (re.compile(r"\b\d+(\.\d+)?([kMG]?B)\b( / \d+(\.\d+)?[kMG]?B)?"), "SIZE"),
    (re.compile(r"(?: \d+\.\d+s)+ done$"), " done"),
    (re.compile(r"^DONE \d+\.\d+s$|^CACHED$"), "DONE"),
)
_OURS = ("exporting to image",)
_THEIRS = ("[internal] preparing inline document",)
"""Vertices that one side has and the other has not: an image without an output is kept here, files
of here-documents are no vertices."""


def blocks(text: str) -> list[list[str]]:
    """The vertices of plain lines, each with its title first; sorted."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or match[1] == "0":
            continue
        lines = found.setdefault(match[1], [])
        said = match[2]
        for pattern, word in _MOMENT:
            said = pattern.sub(word, said)
        if said.startswith("ERROR: "):
            said = "ERROR"
        said = said.replace(" SIZE done", " done")
        if said != "..." and said not in lines:
            lines.append(said)
    for lines in found.values():
        lines[1:] = sorted(line for line in lines[1:] if f"{line} done" not in lines)
    return sorted(lines for lines in found.values() if lines[0] not in (*_OURS, *_THEIRS))


def tail(text: str) -> list[str]:
    """What follows the vertices: the failed one's last lines, the warnings."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    last = max((at for at, line in enumerate(lines) if _LINE.fullmatch(line)), default=-1)
    kept: list[str] = []
    for line in lines[last + 1 :]:
        if line.startswith(("WARNING: No output", "Exported to", "Error: ")):
            continue
        if line.startswith("Dockerfile:"):
            break
        line = re.sub(r"^\d+\.\d+ ", "TIME ", line).rstrip()
        line = re.sub(r" \(use .* to expand\)", "", line)
        if line:
            kept.append(line)
    return kept


def shape(text: str) -> dict[str, Any]:
    return {"vertices": blocks(text), "tail": tail(text)}
