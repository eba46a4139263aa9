"""Text in the cells of a terminal: a Japanese character takes two, an accent none."""

from __future__ import annotations

import unicodedata


def cell_width(char: str) -> int:
    """How many cells a character takes."""
    if char < "\x7f":
        return 1
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def width(text: str) -> int:
    return sum(map(cell_width, text))


def clip(text: str, columns: int) -> str:
    """As much of the text as fits."""
    used = 0
    for at, char in enumerate(text):
        used += cell_width(char)
        if used > columns:
            return text[:at]
    return text


def spread(left: str, right: str, columns: int) -> str:
    """Two texts at the ends of a line."""
    left = clip(left, max(0, columns - width(right) - 1))
    return left + " " * max(1, columns - width(left) - width(right)) + right


def printable(text: str) -> str:
    """A text without anything that could move the cursor or hide what follows."""
    return "".join(c if c.isprintable() else " " if c in "\t\n" else "\ufffd" for c in text)
