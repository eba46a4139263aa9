"""Text as Go prints it: what BuildKit writes into histories."""

from __future__ import annotations

_ESCAPES = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    '"': '\\"', "\\": "\\\\",
}  # fmt: skip
_UNITS = (("h", 3_600_000_000_000), ("m", 60_000_000_000))


def quoted(text: str) -> str:
    """`%q` of a string."""
    out = []
    for char in text:
        if char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif char.isprintable():
            out.append(char)
        elif ord(char) < 0x80:
            out.append(f"\\x{ord(char):02x}")
        else:
            out.append(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}")
    return '"' + "".join(out) + '"'


def quoted_list(items: tuple[str, ...] | list[str]) -> str:
    """`%q` of a slice of strings: `["/bin/sh" "-c"]`."""
    return "[" + " ".join(map(quoted, items)) + "]"


def plain_list(items: tuple[str, ...] | list[str]) -> str:
    """`%v` of a slice of strings: `[/bin/sh -c]`."""
    return "[" + " ".join(items) + "]"


def duration(nanoseconds: int) -> str:
    """A time.Duration: `1h0m0s`, `1.5s`, `100ms`."""
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < 1_000_000_000:
        for unit, scale in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1)):
            if nanoseconds >= scale:
                return _decimal(nanoseconds, scale) + unit
    out = ""
    for unit, scale in _UNITS:
        if out or nanoseconds >= scale:
            out += f"{nanoseconds // scale}{unit}"
            nanoseconds %= scale
    return out + _decimal(nanoseconds, 1_000_000_000) + "s"


def _decimal(value: int, scale: int) -> str:
    whole, part = divmod(value, scale)
    digits = f"{part:0{len(str(scale)) - 1}d}".rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)


def timestamp(nanoseconds: int) -> str:
    """RFC 3339 in UTC with as many decimals as are needed, as time.Time is written to JSON."""
    from time import gmtime

    seconds, part = divmod(nanoseconds, 1_000_000_000)
    t = gmtime(seconds)
    date = f"{t.tm_year:04d}-{t.tm_mon:02d}-{t.tm_mday:02d}"
    decimals = f".{part:09d}".rstrip("0") if part else ""
    return f"{date}T{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}{decimals}Z"
