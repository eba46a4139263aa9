"""Overlays whose options exceed the page mount(2) gives them.

First their lower directories are named relative to their common parent; where that is still too
long, one `lowerdir+` (Linux 6.7) for each, of at most 255 bytes, the limit of fsconfig(2).
"""

from __future__ import annotations

import errno
import os

from kobako.linux import libc

# System calls since Linux 5.2 have one number on every architecture.
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432


def relative(data: str, subject: str) -> tuple[str, list[str], list[str]]:
    """(the directory to stand in, the lower directories as seen from there, the other options) of
    an overlay's options. Raises `OSError` for `subject` where there is no such directory."""
    options = _split(data, ",")
    lowers = [p for o in options if o.startswith("lowerdir=") for p in _split(o[9:], ":")]
    base = os.path.dirname(os.path.commonpath(lowers)) if lowers else ""
    if not base.startswith("/"):
        raise OSError(errno.E2BIG, "mount overlay: options exceed a page", subject)
    short = [p[len(base) :].lstrip("/") for p in lowers]
    rest = [o for o in options if not o.startswith("lowerdir=")]
    return base.replace("\\:", ":").replace("\\,", ","), short, rest


def configured(lowers: list[str], rest: list[str], attributes: int, subject: str) -> int:
    """A descriptor of such an overlay, mounted nowhere yet; the caller's."""
    set_flag, set_string, create = 0, 1, 6
    fs = libc.syscall(_FSOPEN, b"overlay", 1, what="fsopen overlay")
    try:
        for lower in lowers:
            _fsconfig(fs, set_string, "lowerdir+", lower.replace("\\:", ":"), subject)
        for option in rest:
            key, equals, value = option.partition("=")
            _fsconfig(fs, set_string if equals else set_flag, key, value or None, subject)
        _fsconfig(fs, create, None, None, subject)
        return libc.syscall(_FSMOUNT, fs, 1, attributes, what="fsmount overlay")
    finally:
        os.close(fs)


def _fsconfig(fs: int, command: int, key: str | None, value: str | None, subject: str) -> None:
    name = None if key is None else key.encode()
    text = None if value is None else os.fsencode(value)
    try:
        libc.syscall(_FSCONFIG, fs, command, name, text, 0, what="fsconfig")
    except OSError as fault:
        what = f"mount overlay: option {key}: {os.strerror(fault.errno or 0)}"
        raise OSError(fault.errno, what, subject) from None


def _split(text: str, separator: str) -> list[str]:
    """Splits at separators that no backslash escapes."""
    parts, start, i = [], 0, 0
    while i < len(text):
        if text[i] == "\\":
            i += 1
        elif text[i] == separator:
            parts.append(text[start:i])
            start = i + 1
        i += 1
    parts.append(text[start:])
    return parts
