"""Sizes and times in docker's words (the rounding rules of docker/go-units)."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


def size(count: float, digits: int = 4) -> str:
    """Bytes in powers of 1000 with `digits` significant digits: 2.048kB; `images` uses 3."""
    return _scaled(count, 1000, _UNITS, digits)


def binary_size(count: float) -> str:
    """Bytes in powers of 1024 with four significant digits: 5.629MiB."""
    return _scaled(count, 1024, _BINARY_UNITS, 4)


def _scaled(count: float, base: int, units: tuple[str, ...], digits: int) -> str:
    unit = 0
    while count >= base and unit < len(units) - 1:
        count /= base
        unit += 1
    return f"{count:.{digits}g}{units[unit]}"


def duration(seconds: float) -> str:
    """`About a minute`, `3 weeks`: how docker words an age."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    for limit, divisor, word in ((48, 1, "hours"), (336, 24, "days"), (1440, 168, "weeks")):
        if hours < limit:
            return f"{hours // divisor} {word}"
    if hours < 17520:
        return f"{hours // 720} months"
    return f"{int(seconds / 3600) // 24 // 365} years"


def ago(seconds: float) -> str:
    """An age for a CREATED column."""
    return duration(seconds) + " ago"


_SUFFIX = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def parse_size(text: str) -> int:
    """`64m`, `1.5GB`, `4096` in bytes, powers of 1024 as docker's RAMInBytes; ValueError if not."""
    word = text.strip().lower()
    number = word.rstrip("abcdefghijklmnopqrstuvwxyz ")
    suffix = word[len(number) :].strip().removesuffix("b").removesuffix("i")
    if suffix not in _SUFFIX or not number.replace(".", "", 1).isdecimal():
        raise ValueError(f"invalid size: {text!r}")
    size = float(number) * _SUFFIX[suffix]
    if size >= 1 << 63:
        raise ValueError(f"a size no machine has: {text!r}")
    return int(size)


def local_time(ns: int) -> str:
    """Nanoseconds since 1970 as Go's default layout prints a local time: a CreatedAt column."""
    import time

    t = time.localtime(ns // 1_000_000_000)
    zone = time.strftime("%z %Z", t)
    return f"{t[0]:04}-{t[1]:02}-{t[2]:02} {t[3]:02}:{t[4]:02}:{t[5]:02} {zone}"
