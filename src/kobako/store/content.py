"""The content store: blobs by digest, laid out as an OCI image layout's `blobs` directory.

A name in `blobs/` always stands for whole content (see `writer`), and what is there is never
rewritten. Every reader verifies.
"""

from __future__ import annotations

import fcntl
import os

from kobako.errors import Invalid, NotFound
from kobako.oci.digest import Digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.errors import KobakoError
    from kobako.store.reader import BlobReader
    from kobako.store.writer import BlobWriter

READ_LIMIT = 4 << 20
"""How much `read` takes into memory unless told otherwise."""


class ContentStore:
    """Blobs under one directory. Safe for any number of threads and processes."""

    def __init__(self, root: str) -> None:
        """`root` holds `blobs/`, `ingest/` and `gc.lock`."""
        self._root = root
        self._blobs = os.path.join(root, "blobs")
        self._ingest = os.path.join(root, "ingest")
        self._lock_path = os.path.join(root, "gc.lock")

    def path(self, digest: Digest) -> str:
        """Where the blob is, or would be."""
        algorithm, _, encoded = digest.partition(":")
        return f"{self._blobs}/{algorithm}/{encoded}"

    def exists(self, digest: Digest) -> bool:
        """Whether the blob is there. If it is, gc takes it for new (see `leases`)."""
        with self.shared():
            return self._refresh(self.path(digest))

    def size(self, digest: Digest) -> int:
        """The blob's size in bytes; raises `NotFound`."""
        try:
            return os.stat(self.path(digest)).st_size
        except OSError as error:
            raise self._failed("read", digest, error) from error

    def read(self, digest: Digest, limit: int = READ_LIMIT) -> bytes:
        """The verified bytes of a blob of at most `limit` bytes.

        Raises `NotFound`, `Corrupt` where they are not what the digest says, `Invalid` if too big.
        """
        try:
            fd = os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC)
            try:
                size = os.fstat(fd).st_size
                if size > limit:
                    raise Invalid(f"blob {digest} has {size} bytes, more than the {limit} expected")
                data = os.read(fd, size) if size else b""
            finally:
                os.close(fd)
        except OSError as error:
            raise self._failed("read", digest, error) from error
        if len(data) != size or not digest.verifies(data):
            from kobako.store.reader import corrupt

            raise corrupt(digest)
        return data

    def open(self, digest: Digest) -> BlobReader:
        """The blob as a binary stream that raises `Corrupt` at its end if the bytes are wrong."""
        from kobako.store.reader import BlobReader

        try:
            fd = os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._failed("read", digest, error) from error
        return BlobReader(fd, digest)

    def writer(self, expected: Digest | None = None, size: int | None = None) -> BlobWriter:
        """Begin a blob. `commit` refuses anything but the `expected` digest and `size` in bytes."""
        from kobako.store.writer import BlobWriter

        return BlobWriter(self, expected, size)

    def put(self, data: bytes) -> Digest:
        """Store bytes; a no-op if they are there."""
        return self.put_all(data)[0]

    def put_all(self, *documents: bytes) -> list[Digest]:
        """Store several as `put` does each, in this order; their directory is synced once."""
        digests = [Digest.of(data) for data in documents]
        written = None
        for digest, data in zip(digests, documents, strict=True):
            if self.exists(digest) and self.size(digest) == len(data):
                continue
            with self.writer(digest, len(data)) as writer:
                writer.write(data)
                written = writer.commit(unsynced=True)
        if written is not None:
            from kobako.store.writer import sync_directory

            sync_directory(self, written)
        return digests

    def delete(self, digest: Digest) -> bool:
        """Remove a blob whatever refers to it; whether it was there."""
        try:
            os.unlink(self.path(digest))
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._failed("delete", digest, error) from error
        return True

    def __iter__(self) -> Iterator[Digest]:
        """The digests of all blobs, in no order. Files that are not blobs are passed over."""
        for algorithm in sorted(_listed(self._blobs)):
            for encoded in _listed(f"{self._blobs}/{algorithm}"):
                try:
                    yield Digest.parse(f"{algorithm}:{encoded}")
                except Invalid:
                    continue

    def shared(self) -> _Lock:
        """Held while content is found or put in place: gc sweeps in between only."""
        return _Lock(self._lock_path, fcntl.LOCK_SH)

    def exclusive(self) -> _Lock:
        """Held by gc while it sweeps. Taken inside a database transaction, never around one."""
        return _Lock(self._lock_path, fcntl.LOCK_EX)

    def _refresh(self, path: str) -> bool:
        """Make the file new to gc; False if there is none."""
        try:
            os.utime(path)
        except FileNotFoundError:
            return False
        except OSError:  # another's file, or a read-only store: no gc of ours will take it
            return os.path.exists(path)
        return True

    def is_whole(self, path: str, size: int) -> bool:
        """Whether a blob of that many bytes lies at `path`; if so, gc takes it for new."""
        return self._refresh(path) and os.stat(path).st_size == size

    def _failed(self, action: str, digest: Digest | str, error: OSError) -> KobakoError:
        if isinstance(error, FileNotFoundError):
            return NotFound(f"blob {digest} is not in the store {self._root}")
        from kobako.store.failures import failed

        return failed(f"{action} blob {digest}", self._root, error)


class _Lock:
    """An advisory lock on a file for the length of a `with` block."""

    __slots__ = ("_fd", "_how", "_path")

    def __init__(self, path: str, how: int) -> None:
        self._path = path
        self._how = how
        self._fd = -1

    def __enter__(self) -> None:
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            if self._how == fcntl.LOCK_EX:
                raise
            return  # a store we may only read, which nobody but its owner collects
        fcntl.flock(self._fd, self._how)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
