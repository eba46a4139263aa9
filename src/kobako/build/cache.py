"""The build cache: keys made of content → what came of it.

A key is the sha256 of everything a result depends on; a value is a small JSON document. The engine
keeps them in the store's `cache` table.
"""

from __future__ import annotations

from kobako.oci import Digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol
else:
    Protocol = object


class Cache(Protocol):
    """What a build needs of a cache. Called from several threads."""

    def get(self, key: str) -> dict[str, Any] | None:
        """The document kept under `key`."""

    def put(self, key: str, value: dict[str, Any]) -> None:
        """Keeps a document, at once and for good: a killed build finds it again."""


_TEXTS = (str, Digest)


def cache_key(*parts: object) -> str:
    """sha256 (hex) over the parts: strings, bytes, numbers, None, and tuples or lists of those."""
    out: list[bytes] = []
    _feed(out, parts)
    return Digest.of(b"".join(out)).encoded


def _feed(out: list[bytes], value: object) -> None:
    """Every value with its type and length, so that no two lists of parts look the same."""
    if isinstance(value, (tuple, list)):
        out.append(b"(%d:" % len(value))
        for item in value:
            if type(item) in _TEXTS:  # nearly all are
                data = item.encode("utf-8", "surrogateescape")
                out += b"st%d:" % len(data), data
            else:
                _feed(out, item)
        return
    data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
    kind = type(value).__name__[:2].encode()
    out.append(b"%s%d:" % (kind if value is None or kind != b"Di" else b"st", len(data)))
    out.append(data)
