"""The Range header of a download (RFC 9110 section 14): one range, or none."""

from __future__ import annotations

from kobako.errors import Invalid


class RangeNotSatisfiable(Invalid):
    """The range asked for lies outside of the content."""

    http_status = 416


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """`(first, count)` for a content of `size` bytes; None: answer with all of it.

    What is no valid bytes-range, and a request for several ranges, is ignored as the RFC allows;
    `RangeNotSatisfiable` when a valid one begins past the end.
    """
    unit, equals, spec = header.partition("=")
    if not equals or unit.strip().lower() != "bytes" or "," in spec:
        return None
    first, dash, last = (part.strip() for part in spec.partition("-"))
    if not dash or not all(
        not part or (part.isascii() and part.isdigit()) for part in (first, last)
    ):
        return None
    if len(first) > 18 or len(last) > 18:
        first, last = first[:18], last[:18]  # far beyond any file either way
    if not first:
        if not last:
            return None
        count = min(int(last), size)
        if not count:
            raise RangeNotSatisfiable("an empty suffix was asked for")
        return size - count, count
    begin = int(first)
    if last and int(last) < begin:
        return None
    if begin >= size:
        raise RangeNotSatisfiable(f"the range begins at {begin}, the content has {size} bytes")
    end = min(int(last), size - 1) if last else size - 1
    return begin, end - begin + 1
