"""The build cache: keys made of content → what came of it.

A key is the sha256 of everything a result depends on; a value is a small JSON document. Rows of the
store's `cache` table outlive the build; `MemoryCache` does not.
"""

from __future__ import annotations

from kobako import fastjson
from kobako.oci import Digest
from kobako.store.rows import CacheRow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from kobako.store.cache import Cache as Rows
else:
    Protocol = object

_PREFIX = "build:"
_KIND = "build"


class Cache(Protocol):
    """What a build needs of a cache. Called from several threads."""

    def get(self, key: str) -> dict[str, Any] | None:
        """The document kept under `key`."""

    def put(self, key: str, value: dict[str, Any]) -> None:
        """Keeps a document, at once and for good: a killed build finds it again."""


class MemoryCache:
    """A cache that lives as long as the object; for tests and builds that must leave no trace."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    def get(self, key: str) -> dict[str, Any] | None:
        return self.rows.get(key)

    def put(self, key: str, value: dict[str, Any]) -> None:
        self.rows[key] = value


class StoreCache:
    """The `cache` table of a store. `flush` counts the uses of this build, in one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._used: dict[str, None] = {}

    def get(self, key: str) -> dict[str, Any] | None:
        row = self._rows.get(_PREFIX + key)
        if row is None:
            return None
        self._used[_PREFIX + key] = None
        try:
            value = fastjson.loads(row.value)
        except ValueError:
            return None  # a damaged row is a miss: the step runs again and replaces it
        return value if isinstance(value, dict) else None

    def put(self, key: str, value: dict[str, Any]) -> None:
        blob = value.get("blob")
        size = int(blob["size"]) if blob else 0
        self._rows.put(CacheRow(_PREFIX + key, fastjson.dumps(value), _KIND, size))

    def flush(self) -> None:
        used, self._used = self._used, {}
        if used:
            self._rows.touch(list(used))


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
            _feed(out, item)
        return
    data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
    kind = type(value).__name__[:2].encode()
    out.append(b"%s%d:" % (kind if value is None or kind != b"Di" else b"st", len(data)))
    out.append(data)
