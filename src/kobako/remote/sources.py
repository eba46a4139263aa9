"""Which repositories of a registry are known to hold a blob: where it could be mounted from.

A table in its own SQLite file beside the store. It is only a memory: losing it costs an upload,
a wrong row one request. So no failure of it ever fails a transfer.
"""

from __future__ import annotations

import os
import time

from kobako.errors import KobakoError, Unavailable
from kobako.store.sqlite import Error, open_connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kobako.oci.digest import Digest
    from kobako.store.sqlite import Connection

_NAME = "remote-sources.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS sources (
    host TEXT NOT NULL, digest TEXT NOT NULL, path TEXT NOT NULL, seen INTEGER NOT NULL,
    PRIMARY KEY (host, digest, path)
) WITHOUT ROWID"""
_KEPT = 100_000
"""Rows kept; the oldest go first."""


class Sources:
    """The memory of one store. Every call opens the file and closes it: nothing outlives a call."""

    def __init__(self, root: str) -> None:
        self._path = os.path.join(root, _NAME)

    def remember(self, host: str, path: str, digests: Iterable[Digest]) -> None:
        """Note that repository `path` at `host` holds these blobs."""
        now = time.time_ns()
        rows = [(host, str(digest), path, now) for digest in digests]
        try:
            connection = self._open()
        except KobakoError:
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?)", rows)
            connection.execute(
                "DELETE FROM sources WHERE seen < (SELECT seen FROM sources "
                "ORDER BY seen DESC LIMIT 1 OFFSET ?)",
                (_KEPT,),
            )
            connection.execute("COMMIT")
        except Error:
            pass
        finally:
            connection.close()

    def holding(self, host: str, digest: Digest, besides: str) -> tuple[str, ...]:
        """The repositories at `host` that hold a blob, the latest seen first, at most three."""
        try:
            connection = self._open()
        except KobakoError:
            return ()
        try:
            found = connection.execute(
                "SELECT path FROM sources WHERE host = ? AND digest = ? AND path != ? "
                "ORDER BY seen DESC, path LIMIT 3",
                (host, str(digest), besides),
            )
            return tuple(row[0] for row in found)
        except Error:
            return ()
        finally:
            connection.close()

    def _open(self) -> Connection:
        try:
            connection = open_connection(self._path)
            connection.execute("PRAGMA busy_timeout=2000")
            connection.execute(_SCHEMA)
        except (Error, KobakoError):
            raise Unavailable("the memory of blob sources cannot be opened") from None
        return connection
