"""SQLite through `_sqlite3`: connections, and its errors mapped to ours in one place."""

from __future__ import annotations

import sys

from kobako.errors import Conflict, Corrupt, Denied, KobakoError, Unavailable

BUSY_SECONDS = 60.0
"""How long a write waits for the writes of other processes."""


def _load() -> object:
    """The `_sqlite3` module, without the `functools` package it asks for where that is possible.

    Its initialisation fetches `functools.lru_cache` and nothing else; importing `functools` costs
    5 ms (`collections`, `operator`, `types`), more than SQLite itself. The C type behind
    `lru_cache` is always there, so a stand-in serves it for the moment of the import. Never done
    where threads exist or `functools` is loaded; any surprise falls back to the ordinary import.
    """
    if "functools" not in sys.modules and "threading" not in sys.modules:
        try:
            from _functools import _lru_cache_wrapper  # type: ignore[import-not-found]  # no stubs

            class StandIn(type(sys)):  # type: ignore[misc]  # types.ModuleType, unimported
                @staticmethod
                def lru_cache(maxsize: int) -> object:
                    return lambda call: _lru_cache_wrapper(call, maxsize, False, tuple)

            sys.modules["functools"] = StandIn("functools")
            try:
                import _sqlite3
            finally:
                del sys.modules["functools"]
            return _sqlite3
        except Exception:  # whatever it was, the ordinary import below tells it properly
            sys.modules.pop("_sqlite3", None)
    import _sqlite3

    return _sqlite3


_load()

from _sqlite3 import Connection, Cursor, Error, connect  # noqa: E402 - after the stand-in

__all__ = ["BUSY_SECONDS", "Connection", "Cursor", "Error", "mapped", "open_connection"]

# Primary result codes, https://www.sqlite.org/rescode.html
_PERM, _BUSY, _LOCKED, _READONLY, _IOERR = 3, 5, 6, 8, 10
_CORRUPT, _FULL, _CANTOPEN, _CONSTRAINT, _NOTADB = 11, 13, 14, 19, 26
_NO_CHECKPOINT_ON_CLOSE = 1006


def open_connection(path: str) -> Connection:
    """A connection in autocommit mode, usable from any thread (the caller does the locking).

    The database is made if missing. `synchronous=NORMAL`: in WAL mode a killed process loses
    nothing, and a power cut at most the last transactions, never the database.
    """
    connection = None
    try:
        connection = connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous=NORMAL")
        # The first process to open the database reads the whole log again (verbs end without
        # closing it): 4 us a page, so the log is kept short. A checkpoint syncs twice.
        connection.execute("PRAGMA wal_autocheckpoint=100")
        if hasattr(connection, "setconfig"):  # Python 3.12: spare each process's end the fsyncs
            connection.setconfig(_NO_CHECKPOINT_ON_CLOSE, True)
    except Error as error:
        if connection is not None:
            connection.close()
        raise mapped(error, path) from error
    return connection


def mapped(error: Error, path: str) -> KobakoError:
    """What an SQLite error means to a user of the store."""
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code == _FULL:
        return Unavailable(
            f"no space left for the database {path}", hint="free some space: kobako system prune"
        )
    if code in (_READONLY, _PERM):
        return Denied(f"the database {path} cannot be written: {error}")
    if code in (_BUSY, _LOCKED):
        return Unavailable(
            f"the database {path} is busy: another process has been writing for "
            f"{BUSY_SECONDS:.0f} seconds",
            hint="try again; see who holds it with: fuser " + path,
        )
    if code in (_CORRUPT, _NOTADB):
        return Corrupt(f"the database {path} is damaged: {error}", hint="run: kobako system fsck")
    if code == _CONSTRAINT:
        return Conflict(f"the database {path} refused a change: {error}")
    if code == _CANTOPEN:
        return Unavailable(f"the database {path} cannot be opened: {error}")
    return Unavailable(f"the database {path} failed: {error}")
