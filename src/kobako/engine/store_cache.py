"""The store's build cache, as a build and a push use it."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.engine.engine import Engine
    from kobako.store.cache import Cache as Table


class StoreCache:
    """The store's build cache as the build wants it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def table(self) -> Table:
        return self._engine.store.db.cache

    def get(self, key: str) -> dict[str, Any] | None:
        from kobako.fastjson import loads

        row = self.table.get(key)
        if row is None:
            return None
        if time.time_ns() - row.used_ns > 60_000_000_000:
            self.table.touch([key])  # once a minute is enough to know what is in use
        found: dict[str, Any] = loads(row.value)
        return found

    def put(self, key: str, value: dict[str, Any]) -> None:
        from kobako.fastjson import dumps
        from kobako.store.cache import CacheRow

        self.table.put(CacheRow(key, dumps(value), kind=str(value.get("kind", ""))))
