"""Times in documents (RFC 3339 text) as nanoseconds since 1970, and back."""

from __future__ import annotations

import time

from kobako.errors import Invalid
from kobako.oci.moment import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.oci import ImageConfig


def created_ns(config: ImageConfig) -> int:
    """When an image was made; 0 when its config does not say."""
    return parse(config.created)


def rfc3339(ns: int) -> str:
    """docker's form: 2026-01-02T03:04:05.000000006Z."""
    seconds, rest = divmod(ns, 1_000_000_000)
    t = time.gmtime(seconds)
    head = f"{t[0]:04}-{t[1]:02}-{t[2]:02}T{t[3]:02}:{t[4]:02}:{t[5]:02}"
    return f"{head}.{rest:09}Z" if rest else head + "Z"


_SECONDS = {"h": 3600, "m": 60, "s": 1}


def bound(text: str) -> int:
    """A filter's `until`: a Unix time, an RFC 3339 time, or a duration (1h30m) back from now."""
    if text.isdigit():
        return int(text) * 1_000_000_000
    moment = parse(text)
    if moment:
        return moment
    total, number = 0, ""
    for letter in text:
        if letter.isdigit():
            number += letter
        elif letter in _SECONDS and number:
            total, number = total + int(number) * _SECONDS[letter], ""
        else:
            raise Invalid(f"invalid filter 'until={text}': use a time, or a duration such as 24h")
    if number or not total:
        raise Invalid(f"invalid filter 'until={text}': use a time, or a duration such as 24h")
    return time.time_ns() - total * 1_000_000_000
