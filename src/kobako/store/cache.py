"""The build cache's table."""

from __future__ import annotations

from time import time_ns

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.store.database import Database

_COLUMNS = "key, value, kind, size, created_ns, used_ns, uses"


class CacheRow(Record):
    """A result of the build, found again by a key.

    `value` is JSON. Every digest that stands in it (of a manifest, config, layer or DiffID) is
    kept by gc, with all it refers to, as long as the row is there.
    """

    key: str
    value: bytes
    kind: str = ""
    size: int = 0
    created_ns: int = 0
    used_ns: int = 0
    uses: int = 0


class Cache:
    """Results of builds by key."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, key: str) -> CacheRow | None:
        """The row of a key; reading does not count as use, `touch` does."""
        rows = self._db.query(f"SELECT {_COLUMNS} FROM cache WHERE key = ?", key)
        return CacheRow(*rows[0]) if rows else None

    def put(self, row: CacheRow) -> None:
        """Add or replace a result. Times of 0 mean now."""
        now = time_ns()
        self._db.change(
            "INSERT OR REPLACE INTO cache VALUES (?, ?, ?, ?, ?, ?, ?)",
            row.key, row.value, row.kind, row.size, row.created_ns or now, row.used_ns or now,
            row.uses,
        )  # fmt: skip

    def touch(self, keys: Sequence[str]) -> None:
        """Count one use of each key, now."""
        now = time_ns()
        with self._db.transaction():
            for key in keys:
                self._db.change(
                    "UPDATE cache SET used_ns = ?, uses = uses + 1 WHERE key = ?", now, key
                )

    def delete(self, key: str) -> bool:
        """Forget a result; whether it was there."""
        return self._db.change("DELETE FROM cache WHERE key = ?", key) > 0

    def list(self) -> Sequence[CacheRow]:
        """All results, the longest unused first."""
        rows = self._db.query(f"SELECT {_COLUMNS} FROM cache ORDER BY used_ns, key")
        return [CacheRow(*row) for row in rows]
