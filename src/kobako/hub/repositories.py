"""Repositories: which blobs, manifests and tags each of them has."""

from __future__ import annotations

import os
import time

from kobako.errors import Conflict, NotFound, Unavailable
from kobako.hub import names
from kobako.oci import Digest
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence

    from kobako.hub.contents import Contents
    from kobako.hub.database import Database

_BLOB_IN = (
    "SELECT b.size FROM repositories r JOIN repository_blobs rb ON rb.repository = r.id "
    "JOIN blobs b ON b.digest = rb.digest WHERE r.name = ? AND rb.digest = ?"
)
_MANIFEST_IN = (
    "SELECT m.digest, m.media_type, b.size FROM repositories r "
    "JOIN manifests m ON m.repository = r.id JOIN blobs b ON b.digest = m.digest "
    "WHERE r.name = ? AND m.digest = ?"
)
_MANIFEST_OF_TAG = (
    "SELECT m.digest, m.media_type, b.size FROM repositories r "
    "JOIN tags t ON t.repository = r.id "
    "JOIN manifests m ON m.repository = r.id AND m.digest = t.digest "
    "JOIN blobs b ON b.digest = m.digest WHERE r.name = ? AND t.name = ?"
)


class Repository(Record):
    """One repository as lists show it."""

    name: str
    private: bool
    created: float


class StoredManifest(Record):
    """A manifest or index a repository has; its bytes are content of the store."""

    digest: Digest
    media_type: str
    size: int


class NewManifest(Record):
    """A validated manifest to record. `descriptor` is what the referrers list shows of it."""

    stored: StoredManifest
    blobs: tuple[Digest, ...]
    manifests: tuple[Digest, ...]
    subject: Digest | None
    artifact_type: str
    descriptor: bytes


class Repositories:
    """Queries and changes; every change is one durable transaction."""

    def __init__(self, database: Database, contents: Contents, *, private: bool) -> None:
        self._database = database
        self._contents = contents
        self._private = private

    def private(self, name: str) -> bool | None:
        """Whether a repository is private; None when there is none of this name."""
        with self._database.read() as c:
            row = c.execute("SELECT private FROM repositories WHERE name = ?", (name,)).fetchone()
        return bool(row[0]) if row else None

    def set_private(self, name: str, private: bool) -> None:
        """Change who sees a repository; one that does not exist yet is made."""
        names.repository(name)
        with self._database.write() as c:
            c.execute(
                "UPDATE repositories SET private = ? WHERE id = ?",
                (private, self._ensure(c, name)),
            )

    def list(self, last: str = "", most: int = -1) -> Sequence[Repository]:
        """Repositories by name, after `last`."""
        query = (
            "SELECT name, private, created FROM repositories WHERE name > ? ORDER BY name LIMIT ?"
        )
        with self._database.read() as c:
            return [Repository(n, bool(p), t) for n, p, t in c.execute(query, (last, most))]

    def remove(self, name: str) -> None:
        """Forget a repository with all its tags and manifests; the collector frees the bytes."""
        with self._database.write() as c:
            if not c.execute("DELETE FROM repositories WHERE name = ?", (name,)).rowcount:
                raise NotFound(f"there is no repository {name}")

    def blob_size(self, name: str, digest: Digest) -> int | None:
        """The size of a blob or manifest of this repository, None if it has no such content."""
        with self._database.read() as c:
            row = c.execute(_BLOB_IN, (name, digest)).fetchone()
        return row[0] if row else None

    def holders(self, digest: Digest) -> Sequence[str]:
        """The names of the repositories that have a blob."""
        query = (
            "SELECT r.name FROM repository_blobs rb JOIN repositories r ON r.id = rb.repository "
            "WHERE rb.digest = ? ORDER BY r.name"
        )
        with self._database.read() as c:
            return [row[0] for row in c.execute(query, (digest,))]

    def add_blob(self, name: str, digest: Digest, size: int, place: Callable[[], None]) -> None:
        """Give a repository a blob; `place` puts its bytes into the store and may run again.

        The bytes are placed first; the transaction then checks that no collector, which works in
        transactions as well, took them away in between. Durable with the manifest that follows.
        """
        for _ in range(5):
            place()
            with self._database.write(durable=False) as c:
                if os.path.exists(self._contents.path(digest)):
                    self._hold(c, self._ensure(c, name), digest, size)
                    return
        raise Unavailable(f"cannot store {digest}: it is removed as fast as it is written")

    def mount(self, source: str, target: str, digest: Digest) -> bool:
        """Share a blob of one repository with another; False if `source` does not have it."""
        with self._database.write(durable=False) as c:
            row = c.execute(_BLOB_IN, (source, digest)).fetchone()
            if row is None:
                return False
            self._hold(c, self._ensure(c, target), digest, row[0])
            return True

    def remove_blob(self, name: str, digest: Digest) -> bool:
        """Take a blob from a repository; False if it had none."""
        query = (
            "DELETE FROM repository_blobs WHERE digest = ? AND repository = "
            "(SELECT id FROM repositories WHERE name = ?)"
        )
        with self._database.write() as c:
            return c.execute(query, (digest, name)).rowcount > 0

    def manifest(self, name: str, reference: str | Digest) -> StoredManifest | None:
        """The manifest of a tag, or of a digest."""
        query = _MANIFEST_IN if isinstance(reference, Digest) else _MANIFEST_OF_TAG
        with self._database.read() as c:
            row = c.execute(query, (name, reference)).fetchone()
        return StoredManifest(Digest(row[0]), row[1], row[2]) if row else None

    def missing(
        self, name: str, blobs: Iterable[Digest], manifests: Iterable[Digest]
    ) -> Sequence[Digest]:
        """Which of the content a manifest refers to the repository does not have."""
        with self._database.read() as c:
            return _absent(c, name, blobs, manifests)

    def add_manifest(
        self, name: str, new: NewManifest, tags: Iterable[str], place: Callable[[], None]
    ) -> None:
        """Record a manifest and point tags at it; idempotent. `place` as in `add_blob`.

        `Conflict` if content it refers to was removed since `missing` found all of it.
        """
        digest = new.stored.digest
        for _ in range(5):
            place()
            with self._database.write() as c:
                if _absent(c, name, new.blobs, new.manifests):
                    raise Conflict(f"content of {digest} was removed meanwhile: push it again")
                if os.path.exists(self._contents.path(digest)):
                    self._record(c, self._ensure(c, name), new, tags)
                    return
        raise Unavailable(f"cannot store {digest}: it is removed as fast as it is written")

    def remove_manifest(self, name: str, digest: Digest) -> bool:
        """Remove a manifest and the tags on it; False if there is none."""
        query = (
            "DELETE FROM manifests WHERE digest = ? AND repository = "
            "(SELECT id FROM repositories WHERE name = ?)"
        )
        with self._database.write() as c:
            return c.execute(query, (digest, name)).rowcount > 0

    def remove_tag(self, name: str, tag: str) -> bool:
        """Remove a tag alone; False if there is none."""
        query = (
            "DELETE FROM tags WHERE name = ? AND repository = "
            "(SELECT id FROM repositories WHERE name = ?)"
        )
        with self._database.write() as c:
            return c.execute(query, (tag, name)).rowcount > 0

    def tags(self, name: str, last: str = "", most: int = -1) -> Sequence[str] | None:
        """Tags in ASCII order after `last`; None when there is no such repository."""
        query = "SELECT name FROM tags WHERE repository = ? AND name > ? ORDER BY name LIMIT ?"
        with self._database.read() as c:
            row = c.execute("SELECT id FROM repositories WHERE name = ?", (name,)).fetchone()
            if row is None:
                return None
            return [tag[0] for tag in c.execute(query, (row[0], last, most))]

    def referrers(
        self, name: str, subject: Digest, artifact_type: str, last: str, most: int
    ) -> Sequence[tuple[str, bytes]]:
        """`(digest, descriptor as JSON)` of manifests with this subject, after `last`."""
        query = (
            "SELECT m.digest, m.descriptor FROM manifests m JOIN repositories r "
            "ON r.id = m.repository WHERE r.name = ? AND m.subject = ? AND m.digest > ? "
            "AND (? = '' OR m.artifact_type = ?) ORDER BY m.digest LIMIT ?"
        )
        with self._database.read() as c:
            values = (name, subject, last, artifact_type, artifact_type, most)
            return c.execute(query, values).fetchall()

    def stored_bytes(self) -> int:
        """What all blobs take together."""
        with self._database.read() as c:
            total: int = c.execute("SELECT COALESCE(SUM(size), 0) FROM blobs").fetchone()[0]
        return total

    def _ensure(self, c: sqlite3.Connection, name: str) -> int:
        c.execute(
            "INSERT OR IGNORE INTO repositories (name, private, created) VALUES (?, ?, ?)",
            (name, self._private, time.time()),
        )
        found: int = c.execute("SELECT id FROM repositories WHERE name = ?", (name,)).fetchone()[0]
        return found

    def _hold(self, c: sqlite3.Connection, repository: int, digest: Digest, size: int) -> None:
        c.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (digest, size))
        c.execute(
            "INSERT OR REPLACE INTO repository_blobs VALUES (?, ?, ?)",
            (repository, digest, time.time()),
        )

    def _record(
        self, c: sqlite3.Connection, repository: int, new: NewManifest, tags: Iterable[str]
    ) -> None:
        stored, now = new.stored, time.time()
        c.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (stored.digest, stored.size))
        c.execute(
            "INSERT INTO manifests VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET media_type = excluded.media_type, "
            "descriptor = excluded.descriptor, pushed = excluded.pushed",
            (
                repository,
                stored.digest,
                stored.media_type,
                new.subject,
                new.artifact_type,
                new.descriptor if new.subject else None,
                now,
            ),
        )
        for reference in dict.fromkeys((*new.blobs, *new.manifests)):
            row = (repository, stored.digest, reference)
            c.execute("INSERT OR IGNORE INTO manifest_references VALUES (?, ?, ?)", row)
        for tag in tags:
            tag_row = (repository, tag, stored.digest, now)
            c.execute("INSERT OR REPLACE INTO tags VALUES (?, ?, ?, ?)", tag_row)


def _absent(
    c: sqlite3.Connection, name: str, blobs: Iterable[Digest], manifests: Iterable[Digest]
) -> list[Digest]:
    absent = [d for d in blobs if not c.execute(_BLOB_IN, (name, d)).fetchone()]
    absent += [d for d in manifests if not c.execute(_MANIFEST_IN, (name, d)).fetchone()]
    return absent
