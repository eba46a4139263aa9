"""Garbage collection: stale uploads, and content no repository needs any more."""

from __future__ import annotations

import fcntl
import os
import shutil
import time

from kobako.oci import Digest
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

    from kobako.hub.contents import Contents
    from kobako.hub.database import Database

_BATCH = 200
_UNUSED = """
DELETE FROM repository_blobs WHERE added < ? AND NOT EXISTS (
    SELECT 1 FROM manifest_references f
    WHERE f.repository = repository_blobs.repository AND f.digest = repository_blobs.digest)
"""
_ORPHANS = """
SELECT digest, size FROM blobs b
WHERE NOT EXISTS (SELECT 1 FROM repository_blobs rb WHERE rb.digest = b.digest)
AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.digest = b.digest)
LIMIT ?
"""


class Collected(Record):
    """What a collection removed; `freed` is bytes."""

    blobs: int
    uploads: int
    freed: int


def collect(
    database: Database, contents: Contents, blobs_directory: str, uploads_directory: str,
    *, blob_grace: float, upload_age: float,
) -> Collected:  # fmt: skip
    """Remove what is not needed; safe beside a serving hub.

    A blob no manifest of its repository refers to goes `blob_grace` seconds after it was pushed:
    its manifest may be on the way. Every file is removed inside the transaction that found nobody
    uses it, and pushes check for their file inside theirs.
    """
    uploads, freed = _stale_uploads(uploads_directory, upload_age)
    with database.write() as c:
        c.execute(_UNUSED, (time.time() - blob_grace,))
    blobs = 0
    while True:
        with database.write() as c:
            orphans = c.execute(_ORPHANS, (_BATCH,)).fetchall()
            for digest, size in orphans:
                _unlink(contents.path(Digest(digest)))
                c.execute("DELETE FROM blobs WHERE digest = ?", (digest,))
                blobs, freed = blobs + 1, freed + size
        if len(orphans) < _BATCH:
            break
    strays, stray_bytes = _strays(database, blobs_directory, blob_grace)
    return Collected(blobs + strays, uploads, freed + stray_bytes)


def _strays(database: Database, directory: str, grace: float) -> tuple[int, int]:
    """Files without a row: a hub was killed between placing a blob and recording it."""
    count = freed = 0
    for algorithm in os.listdir(directory):
        for entry in os.scandir(os.path.join(directory, algorithm)):
            digest = f"{algorithm}:{entry.name}"
            with database.read() as c:
                known = _known(c, digest)
            if known:
                continue
            with database.write() as c:
                try:
                    status = os.stat(entry.path)
                except FileNotFoundError:
                    continue
                if status.st_mtime <= time.time() - grace and not _known(c, digest):
                    _unlink(entry.path)
                    count, freed = count + 1, freed + status.st_size
    return count, freed


def _known(c: sqlite3.Connection, digest: str) -> bool:
    return c.execute("SELECT 1 FROM blobs WHERE digest = ?", (digest,)).fetchone() is not None


def _stale_uploads(directory: str, age: float) -> tuple[int, int]:
    count = freed = 0
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        try:
            if not os.path.isdir(path):  # a document whose hub was killed
                if os.stat(path).st_mtime <= time.time() - age:
                    os.unlink(path)
                continue
            size = _remove_upload(path, age)
        except FileNotFoundError:
            continue
        if size is not None:
            count, freed = count + 1, freed + size
    return count, freed


def _remove_upload(path: str, age: float) -> int | None:
    data = os.path.join(path, "data")
    try:
        if os.stat(data).st_mtime > time.time() - age:
            return None  # without touching its lock, which a request may want just now
    except FileNotFoundError:
        if os.stat(path).st_mtime <= time.time() - max(age, 60):
            shutil.rmtree(path, ignore_errors=True)
        return None
    with open(data, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        status = os.fstat(file.fileno())
        if status.st_mtime > time.time() - age:
            return None
        shutil.rmtree(path, ignore_errors=True)
        return status.st_size


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
