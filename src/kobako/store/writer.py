"""Writing a blob: hashed on the way, whole or not at all.

A write goes to a locked file in `ingest/`, is synced, renamed into place, and its directory synced.
"""

from __future__ import annotations

import os

from kobako.errors import Corrupt
from kobako.oci.digest import Digest
from kobako.oci.hasher import Hasher
from kobako.store import ingest
from kobako.store.failures import failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.store.content import ContentStore
    from kobako.store.following import Following


class BlobWriter:
    """A blob being written. Leaving the context without `commit` forgets it."""

    def __init__(self, store: ContentStore, expected: Digest | None, size: int | None) -> None:
        self._store = store
        self._expected = expected
        self._expected_size = size
        self._hash = Hasher(expected.algorithm if expected is not None else "sha256")
        self._size = 0
        self._following: Following | None = None
        try:
            self._file = ingest.create(store._ingest)
        except OSError as error:
            raise failed("write a blob", store._root, error) from error

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    def follow(self) -> Following:
        """The blob as a stream for another thread, which reads it while it is written; once."""
        from kobako.store.following import Following

        self._following = Following(self._file.fd)
        return self._following

    def write(self, data: Any) -> int:
        """Append a bytes-like object, all of it; its length in bytes."""
        view = memoryview(data).cast("B")
        if self._file.closed:
            raise ValueError("the blob has been committed or aborted")
        self._size += len(view)
        if self._expected_size is not None and self._size > self._expected_size:
            raise Corrupt(
                f"blob {self._expected or ''} is longer than the {self._expected_size} bytes "
                "it should have"
            )
        self._hash.update(view)
        written = 0
        try:
            while written < len(view):
                written += os.write(self._file.fd, view[written:])
        except OSError as error:
            raise failed("write a blob", self._store._root, error) from error
        if self._following is not None:
            self._following.reached(self._size)
        return written

    def commit(self, *, unsynced: bool = False) -> Digest:
        """Put the blob in its place, durably. Raises `Corrupt` unless digest and size are right.

        `unsynced`: its name is not durable before the caller has called `sync_directory`.
        """
        if self._file.closed:
            raise ValueError("the blob has been committed or aborted")
        digest = self._hash.digest
        try:
            if self._expected_size is not None and self._size != self._expected_size:
                raise Corrupt(
                    f"blob {self._expected or digest} has {self._size} bytes instead of "
                    f"{self._expected_size}"
                )
            if self._expected is not None and digest != self._expected:
                raise Corrupt(f"blob {self._expected} has other content: its digest is {digest}")
            if self._following is not None:
                self._following.end()
            if _install(self._store, self._file, digest, self._size) and not unsynced:
                sync_directory(self._store, digest)
        except OSError as error:
            raise failed("write a blob", self._store._root, error) from error
        finally:
            self.abort()
        return digest

    def abort(self) -> None:
        """Forget the blob. Idempotent, and a no-op after `commit`."""
        if self._following is not None:
            self._following.give_up()
        self._file.discard()

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.abort()


def _install(store: ContentStore, file: ingest.IngestFile, digest: Digest, size: int) -> bool:
    """Put a file in its blob's place, its content durable; False where that is there already."""
    path = store.path(digest)
    with store.shared():
        if store.is_whole(path, size):
            return False
    os.fchmod(file.fd, 0o644)
    os.fsync(file.fd)
    with store.shared():
        if store.is_whole(path, size):  # another has been faster
            return False
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.rename(file.path, path)
    file.close()
    return True


def sync_directory(store: ContentStore, digest: Digest) -> None:
    """Make the names of a blob and of those beside it durable."""
    directory = os.path.dirname(store.path(digest))
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise failed("write a blob", store._root, error) from error
