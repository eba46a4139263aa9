"""Which names are patterns. What those match is another matter, and seldom asked (`match`)."""

from __future__ import annotations


def has_wildcards(text: str) -> bool:
    """Whether it is a pattern at all: an escaped wildcard is an ordinary character."""
    at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] in "*?[":
            return True
        at += 1
    return False
