"""Columns as Go's tabwriter lays them out for docker: at least 10 wide, 3 apart."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST, _PADDING = 10, 3


def render(rows: Sequence[Sequence[str]], *, least: int = _LEAST) -> str:
    """Rows (the header first) as lines; the last column is not padded, others are `least` wide."""
    if not rows:
        return ""
    widths = [0] * max(map(len, rows))
    for row in rows:
        for at, cell in enumerate(row[:-1]):
            widths[at] = max(widths[at], least, _width(cell) + _PADDING)
    lines = []
    for row in rows:
        cells = [
            cell + " " * (widths[at] - _width(cell)) if at < len(row) - 1 else cell
            for at, cell in enumerate(row)
        ]
        lines.append("".join(cells))
    return "".join(line + "\n" for line in lines)


def _width(text: str) -> int:
    """Terminal columns: wide East Asian characters take two."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def ellipsis(text: str, limit: int) -> str:
    """Text cut to `limit` characters, the last an ellipsis, as docker does."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
