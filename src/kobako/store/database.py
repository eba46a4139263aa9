"""The database: one SQLite file, many processes, every change a transaction."""

from __future__ import annotations

import os
from _thread import RLock

from kobako.store.records import Records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from kobako.oci.digest import Digest
    from kobako.store.cache import Cache
    from kobako.store.containers import Containers
    from kobako.store.images import Images, Refs
    from kobako.store.named import NamedImages
    from kobako.store.sqlite import Connection

SCHEMA = 3
"""The version of the schema that the tables here are of."""


class Database:
    """Refs, images and build cache over one connection, and the records beside it.

    It is opened when it is first asked, as loading SQLite is dear. May be used from several
    threads, which take turns; never across a fork. Raises `kobako.errors` only. A process that ends
    need not close it: what was committed is safe.
    """

    def __init__(
        self, path: str, *, lock_path: str = "", complete: Callable[[Digest], None] | None = None
    ) -> None:
        """The database at `path`, made or migrated if need be, and the `records` beside it.

        `complete(digest)` raises where content that a row is about to point to is not there.
        """
        self.path = path
        self._lock_path = lock_path or path + ".lock"
        self._lock = RLock()
        self.records = Records(f"{path.rpartition('/')[0]}/records", self._lock, self._open)
        self._depth = 0
        self._whole: set[Digest] = set()  # what this transaction has required
        self._connection: Connection | None = None
        self._closed = False
        self._changes_images = False
        self._complete = complete
        self._named: NamedImages | None = None

    @property
    def refs(self) -> Refs:
        """Names of images."""
        from kobako.store.images import Refs

        return Refs(self)

    @property
    def images(self) -> Images:
        from kobako.store.images import Images

        return Images(self)

    @property
    def named(self) -> NamedImages:
        """Images by name, without opening the database where that can be."""
        if self._named is None:
            from kobako.store.named import NamedImages

            self._named = NamedImages(self)
        return self._named

    @property
    def containers(self) -> Containers:
        from kobako.store.containers import Containers

        return Containers(self)

    @property
    def cache(self) -> Cache:
        """The build cache."""
        from kobako.store.cache import Cache

        return Cache(self)

    def require(self, digest: Digest) -> None:
        """Raise `NotFound` unless the content of a manifest (or index) is all there."""
        if self._complete is not None and digest not in self._whole:
            self._complete(digest)
            if self._depth:
                self._whole.add(digest)

    def transaction(self) -> Transaction:
        """A context manager: all changes inside happen, or none.

        It takes the write lock at its start, so what is read inside stays true until its end.
        Transactions nest: the outermost one decides.
        """
        return Transaction(self)

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a SELECT."""
        with self._lock:
            connection = self._open()
            try:
                return connection.execute(statement, values).fetchall()
            except _sqlite().Error as error:
                raise _sqlite().mapped(error, self.path) from error

    def change(self, statement: str, *values: Any) -> int:
        """Execute an INSERT, UPDATE or DELETE; the number of rows changed."""
        with self._lock:
            connection = self._open()
            try:
                return connection.execute(statement, values).rowcount
            except _sqlite().Error as error:
                raise _sqlite().mapped(error, self.path) from error

    def change_images(self) -> None:
        """Must come, inside a transaction, before a name or an image is changed: until its end
        nobody copies what is said of them, and nobody makes a container."""
        if not self._changes_images:
            self.records.acquire()
            self._changes_images = True
        self.named.forget_all()

    def integrity_faults(self) -> list[str]:
        """What SQLite finds wrong with the file; empty when it is whole."""
        rows = self.query("PRAGMA integrity_check(100)")
        return [row[0] for row in rows if row[0] != "ok"]

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the database if nobody is in the way."""
        self.query("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._closed = True

    def _open(self) -> Connection:
        if self._connection is None:
            if self._closed:
                raise ValueError(f"the database {self.path} is closed")
            connection: Connection = _sqlite().open_connection(self.path)
            try:
                _prepare(connection, self.path, self._lock_path, self.records.directory)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _begin(self) -> None:
        self._lock.acquire()
        try:
            if self._depth == 0:
                self.change("BEGIN IMMEDIATE")
            self._depth += 1
        except BaseException:
            self._lock.release()
            raise

    def _end(self, failed: bool) -> None:
        try:
            self._depth -= 1
            if self._depth == 0:
                self._whole.clear()
                if failed:
                    self._roll_back()
                else:
                    try:
                        self.change("COMMIT")
                    except BaseException:
                        self._roll_back()
                        raise
        finally:
            if self._depth == 0 and self._changes_images:
                self._changes_images = False
                self.records.release()
            self._lock.release()

    def _roll_back(self) -> None:
        # SQLite has already rolled back by itself after some errors (disk full, I/O).
        if self._connection is not None and self._connection.in_transaction:
            self.change("ROLLBACK")


def _sqlite() -> ModuleType:
    from kobako.store import sqlite

    return sqlite


def _prepare(connection: Connection, path: str, lock_path: str, records: str) -> None:
    """Bring the database to our schema; a no-op of one read when it is there."""
    try:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found != SCHEMA or not os.path.isdir(records):
            from kobako.store import schema

            schema.migrate(connection, path, lock_path, records, SCHEMA)
    except _sqlite().Error as error:
        raise _sqlite().mapped(error, path) from error


class Transaction:
    """The context manager of `Database.transaction`."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database._begin()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._database._end(failed=kind is not None)
