"""Leases: what a running operation wrote but nothing points to yet survives gc.

A lease is a row and a locked file `ingest/<id>.lease`. The kernel drops the lock when its process
dies, however it dies and in whichever pid namespace it ran, and with it the lease is void.

A live lease keeps everything written or found again (`exists`, a `put` of what is there) since it
began, and the digests added to it with all they refer to.
"""

from __future__ import annotations

import os
from time import time_ns

from kobako.oci.digest import Digest
from kobako.record import Record
from kobako.store import ingest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.store.database import Database
    from kobako.store.store import Store


class LeaseRow(Record):
    """A running operation and the digests it asked to keep. `pid` is for people only."""

    id: str
    pid: int
    note: str
    created_ns: int
    digests: tuple[Digest, ...] = ()


class Leases:
    """The lease table. Operations use `lease`; gc and fsck read here."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def list(self) -> Sequence[LeaseRow]:
        """All rows, those of dead owners too."""
        digests: dict[str, list[Digest]] = {}
        for name, digest in self._db.query("SELECT lease, digest FROM lease_items"):
            digests.setdefault(name, []).append(Digest(digest))
        return [
            LeaseRow(row[0], row[1], row[2], row[3], tuple(digests.get(row[0], ())))
            for row in self._db.query("SELECT id, pid, note, created_ns FROM leases ORDER BY id")
        ]

    def add(self, row: LeaseRow) -> None:
        with self._db.transaction():
            self._db.change(
                "INSERT INTO leases VALUES (?, ?, ?, ?)", row.id, row.pid, row.note, row.created_ns
            )
            self.keep(row.id, row.digests)

    def keep(self, lease_id: str, digests: Sequence[Digest]) -> None:
        """Add digests to a lease."""
        with self._db.transaction():
            for digest in digests:
                self._db.change("INSERT OR IGNORE INTO lease_items VALUES (?, ?)", lease_id, digest)

    def delete(self, lease_id: str) -> None:
        with self._db.transaction():
            self._db.change("DELETE FROM lease_items WHERE lease = ?", lease_id)
            self._db.change("DELETE FROM leases WHERE id = ?", lease_id)


class Lease:
    """A lease being held: a context manager, made by `lease`."""

    def __init__(self, store: Store, note: str) -> None:
        self._store = store
        try:
            self._file = ingest.create(store.ingest_dir, suffix=".lease")
        except OSError as error:
            from kobako.store.failures import failed

            raise failed("begin an operation", store.root, error) from error
        self.id = os.path.basename(self._file.path)
        try:
            self._store.db.leases.add(LeaseRow(self.id, os.getpid(), note, time_ns()))
        except BaseException:
            self._file.discard()
            raise

    def keep(self, *digests: Digest) -> None:
        """Keep content that is neither new nor looked up under this lease: a manifest keeps its
        config, layers and their unpacked trees, a config its trees.
        """
        self._store.db.leases.keep(self.id, digests)

    def end(self) -> None:
        """Give the lease up. Idempotent."""
        if not self._file.closed:
            try:
                self._store.db.leases.delete(self.id)
            finally:
                self._file.discard()

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.end()


def lease(store: Store, note: str = "") -> Lease:
    """Begin a lease; use it as `with lease(store, "pull python") as held:`.

    Take it before the operation's first look at the store, and end it after the transaction that
    makes refs or rows point to what was written.
    """
    return Lease(store, note)


def is_live(store: Store, lease_id: str) -> bool:
    """Whether the owner of a lease is still there."""
    return ingest.is_locked(os.path.join(store.ingest_dir, lease_id))
