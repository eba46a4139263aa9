"""Moments as docker's `--since` and `--until` take them."""

from __future__ import annotations

from kobako.errors import Invalid

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def parse(text: str, flag: str) -> int:
    """Nanoseconds since 1970 of a Unix time, an RFC 3339 date or a Go duration back from now.

    0 for the empty string; `flag` is named when it is none of them.
    """
    if not text:
        return 0
    import time

    try:
        return int(float(text) * 1_000_000_000)
    except ValueError:
        pass
    back = duration(text)
    if back is not None:
        return time.time_ns() - int(back * 1e9)
    from datetime import datetime

    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Invalid(
            f'invalid value for "{flag}": failed to parse value as time or duration: "{text}"',
            hint="Use a Unix time, 2013-01-02T13:23:37Z or 42m.",
        ) from None
    return int(moment.timestamp() * 1_000_000_000)


def duration(text: str) -> float | None:
    """Seconds of a Go duration such as `1h30m`; None when it is none."""
    total, rest = 0.0, text
    while rest:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(digits) :]
        unit = rest[: len(rest) - len(rest.lstrip("hmsun"))]
        while unit and unit not in _SECONDS:
            unit = unit[:-1]
        if not digits or not unit or digits.count(".") > 1 or digits == ".":
            return None
        rest = rest[len(unit) :]
        total += float(digits) * _SECONDS[unit]
    return total
