"""pax extended headers (POSIX.1-2024 pax, "pax Interchange Format"): records `len key=value\\n`."""

from __future__ import annotations

from kobako.errors import Invalid

LIMIT = 1 << 20
"""Bytes of extended headers in force at one time: no real archive comes near."""

SCHILY_XATTR = b"SCHILY.xattr."
LIBARCHIVE_XATTR = b"LIBARCHIVE.xattr."
SPARSE_MAP = b"GNU.sparse.map"


def update(records: dict[bytes, bytes], data: bytes) -> None:
    """Parses a header's `data` into `records`; an empty value takes the key back.

    The offsets and lengths of the sparse format 0.0, one record each, become a map as in 0.1.
    `Invalid` for malformed records and when more than `LIMIT` bytes would be in force.
    """
    at = 0
    pieces: list[bytes] = []
    while at < len(data):
        space = data.find(b" ", at, at + 12)
        digits = data[at:space]
        if space < 0 or not digits.isdigit():
            raise Invalid("malformed pax header: a record does not start with its length")
        end = at + int(digits)
        if end > len(data) or end <= space + 1 or data[end - 1] != 0x0A:
            raise Invalid("malformed pax header: a record's length is wrong")
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals or not key:
            raise Invalid("malformed pax header: a record without a key")
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            pieces.append(value)
        elif value:
            records[key] = value
        else:
            records.pop(key, None)
        at = end
    if pieces:
        records[SPARSE_MAP] = b",".join(pieces)
    if sum(map(len, records)) + sum(map(len, records.values())) > LIMIT:
        raise Invalid(f"extended headers of more than {LIMIT} bytes")


def record(key: bytes, value: bytes) -> bytes:
    """One record; its length counts itself."""
    body = len(key) + len(value) + 3
    length = body + len(str(body))
    if body + len(str(length)) != length:
        length = body + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def decimal(value: bytes, what: str) -> int:
    """A non-negative decimal number."""
    if not value.isdigit() or len(value) > 20:
        raise Invalid(f"malformed pax header: {what} is {value[:40]!r}")
    return int(value)


def timestamp(value: bytes) -> int:
    """A time in decimal seconds with any fraction, as nanoseconds."""
    negative = value.startswith(b"-")
    whole, _, fraction = value.lstrip(b"-").partition(b".")
    if not (whole or fraction) or not (whole + fraction).isdigit() or len(whole) > 20:
        raise Invalid(f"malformed pax header: time is {value[:40]!r}")
    ns = int(whole or b"0") * 10**9 + int(fraction[:9].ljust(9, b"0"))
    return -ns if negative else ns


def format_timestamp(ns: int) -> bytes:
    """The shortest exact decimal seconds."""
    seconds, rest = divmod(abs(ns), 10**9)
    text = b"%d.%09d" % (seconds, rest) if rest else b"%d" % seconds
    return (b"-" if ns < 0 else b"") + (text.rstrip(b"0") if rest else text)


def xattrs(records: dict[bytes, bytes]) -> dict[bytes, bytes] | None:
    """The extended attributes among `records`, None when there are none."""
    found: dict[bytes, bytes] = {}
    for key, value in records.items():
        if key.startswith(LIBARCHIVE_XATTR):
            from base64 import b64decode
            from urllib.parse import unquote_to_bytes

            try:
                plain = b64decode(value + b"=" * (-len(value) % 4))
            except ValueError:
                raise Invalid(f"malformed pax header: {key[:80]!r} is not base64") from None
            found.setdefault(unquote_to_bytes(key[len(LIBARCHIVE_XATTR) :]), plain)
    for key, value in records.items():
        if key.startswith(SCHILY_XATTR):
            found[key[len(SCHILY_XATTR) :]] = value
    return found or None
