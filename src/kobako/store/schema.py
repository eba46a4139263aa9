"""The database's schema: made and migrated here."""

from __future__ import annotations

import fcntl
import os
import shutil

from kobako.errors import Unsupported
from kobako.store import records
from kobako.store.containers import ContainerRow, encoded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.store.sqlite import Connection

# What brings version n-1 to version n, at position n-1. A released step is never changed.
_STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE refs (
            name TEXT PRIMARY KEY, digest TEXT NOT NULL, image TEXT NOT NULL DEFAULT '',
            updated_ns INTEGER NOT NULL) WITHOUT ROWID""",
        "CREATE INDEX refs_digest ON refs (digest)",
        "CREATE INDEX refs_image ON refs (image)",
        """CREATE TABLE images (
            id TEXT PRIMARY KEY, manifest TEXT NOT NULL, created_ns INTEGER NOT NULL,
            size INTEGER NOT NULL, parent TEXT NOT NULL, platform TEXT NOT NULL,
            diff_ids TEXT NOT NULL) WITHOUT ROWID""",
        "CREATE INDEX images_manifest ON images (manifest)",
        "CREATE INDEX images_parent ON images (parent)",
        """CREATE TABLE containers (
            id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, image_id TEXT NOT NULL,
            image_ref TEXT NOT NULL, created_ns INTEGER NOT NULL, spec BLOB NOT NULL)""",
        "CREATE INDEX containers_image ON containers (image_id)",
        """CREATE TABLE cache (
            key TEXT PRIMARY KEY, value BLOB NOT NULL, kind TEXT NOT NULL, size INTEGER NOT NULL,
            created_ns INTEGER NOT NULL, used_ns INTEGER NOT NULL, uses INTEGER NOT NULL)""",
        """CREATE TABLE leases (
            id TEXT PRIMARY KEY, pid INTEGER NOT NULL, note TEXT NOT NULL,
            created_ns INTEGER NOT NULL)""",
        """CREATE TABLE lease_items (
            lease TEXT NOT NULL, digest TEXT NOT NULL,
            PRIMARY KEY (lease, digest)) WITHOUT ROWID""",
    ),
    ("DROP TABLE leases", "DROP TABLE lease_items"),  # their files say it all
    ("DROP TABLE containers",),  # each has a record of its own: `_move_containers`
)
_WITH_CONTAINERS = 2
_CONTAINERS = "SELECT id, name, image_id, image_ref, created_ns, spec FROM containers"


def migrate(
    connection: Connection, path: str, lock_path: str, directory: str, version: int
) -> None:
    """Bring the database to `version`, and make the `directory` of records.

    Raises `Unsupported` for a database of a newer kobako, else what SQLite does. Safe when many
    processes do it at once.
    """
    # Changing to WAL does not wait for other connections (it fails as busy at once), so the
    # processes that find a new store take turns here.
    lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = _version(connection)
        if found > version:
            raise Unsupported(
                f"the store at {os.path.dirname(path)} was written by a newer kobako "
                f"(schema {found}, known {version})",
                hint="upgrade kobako, or choose another --root",
            )
        if found == 0:
            # A filesystem without shared memory keeps the rollback journal: slower, still right.
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        try:
            begun = _version(connection)
            if os.path.isdir(directory):
                records.forget_copies(directory)
            else:
                _make_records(connection if begun == _WITH_CONTAINERS else None, directory)
            for step in _STEPS[begun:version]:
                for statement in step:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version={version}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    finally:
        os.close(lock)


def _make_records(connection: Connection | None, directory: str) -> None:
    """The directory of records, with those of the containers that are in the database; it is there
    as a whole or not at all, and once it is there it holds, whatever becomes of the migration."""
    part = directory + ".part"
    shutil.rmtree(part, ignore_errors=True)
    records.make(part)
    rows = connection.execute(_CONTAINERS).fetchall() if connection is not None else []
    for fields in rows:
        row = ContainerRow(*fields)
        file = f"{part}/containers/{row.id}"
        records.write(file, encoded(row), durable=True)
        os.link(file, f"{part}/names/{row.name}")
    os.rename(part, directory)


def _version(connection: Connection) -> int:
    """Which version the database is of; 0 where nothing has been made yet."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
