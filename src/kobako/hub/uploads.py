"""Uploads under way: a directory each, resumable after any accident.

    uploads/<uuid>/data         what has come so far
    uploads/<uuid>/repository   the name it is for; written last, so without it there is no upload

One request at a time writes to an upload: it holds a lock (flock) on `data`. The hash of what has
come is kept in memory between requests and computed again from the file when it is not there.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import threading
import uuid

from kobako.hub.refusals import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from kobako.http import Body
    from kobako.oci import Digest

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PIECE = 1024 * 1024
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Uploads:
    """All uploads of a hub."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._hashes: dict[str, tuple[hashlib._Hash, int]] = {}
        self._lock = threading.Lock()
        os.makedirs(directory, exist_ok=True)

    def begin(self, repository: str) -> str:
        """A new upload for a repository; returns its id."""
        upload_id = str(uuid.uuid4())
        path = os.path.join(self.directory, upload_id)
        os.mkdir(path)
        open(os.path.join(path, "data"), "xb").close()
        with open(os.path.join(path, "repository"), "x") as file:
            file.write(repository)
        return upload_id

    def open(self, upload_id: str, repository: str) -> Upload:
        """The upload of this id and repository, locked; BLOB_UPLOAD_UNKNOWN when there is none.

        Use it as a context manager.
        """
        path = os.path.join(self.directory, upload_id)
        if not _ID.fullmatch(upload_id):
            raise _unknown(upload_id)
        try:
            with open(os.path.join(path, "repository")) as file:
                if file.read() != repository:
                    raise _unknown(upload_id)
            fd = os.open(os.path.join(path, "data"), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise _unknown(upload_id) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.fstat(fd).st_nlink:
                raise _unknown(upload_id)
        except BlockingIOError as error:
            os.close(fd)
            message = "another request is writing to this upload"
            raise Refusal(409, "BLOB_UPLOAD_INVALID", message) from error
        except Refusal:
            os.close(fd)
            raise
        return Upload(self, upload_id, path, fd)

    def bytes(self) -> int:
        """What all uploads take at the moment."""
        total = 0
        for upload_id in os.listdir(self.directory):
            try:
                total += os.stat(os.path.join(self.directory, upload_id, "data")).st_size
            except (FileNotFoundError, NotADirectoryError):
                continue
        return total

    def take_hash(self, upload_id: str, size: int) -> hashlib._Hash | None:
        """The running sha256 of an upload, if it is known for exactly `size` bytes."""
        with self._lock:
            running, hashed = self._hashes.pop(upload_id, (None, 0))
        if not size and running is None:
            return hashlib.sha256()
        return running if hashed == size else None

    def keep_hash(self, upload_id: str, running: hashlib._Hash, size: int) -> None:
        """Remember a running sha256 for the next request; the oldest are forgotten."""
        with self._lock:
            while len(self._hashes) >= 1000:
                del self._hashes[next(iter(self._hashes))]
            self._hashes[upload_id] = (running, size)


class Upload:
    """One upload, held by one request. `offset` is how many bytes have come."""

    def __init__(self, uploads: Uploads, upload_id: str, path: str, fd: int) -> None:
        self.id = upload_id
        self.offset = os.fstat(fd).st_size
        self.data_path = os.path.join(path, "data")
        self._uploads = uploads
        self._path = path
        self._fd = fd
        self._hash = uploads.take_hash(upload_id, self.offset)
        self._gone = False

    def append(self, body: Body, limit: int) -> None:
        """Add a request body; what came before a broken connection stays.

        `limit` is the most bytes the upload may have afterwards, a refusal with 413 beyond.
        """
        if self.offset + (body.length or 0) > limit:
            raise _too_large(limit)
        if self._hash is None:
            self._hash = self._rehash("sha256")
        os.lseek(self._fd, self.offset, os.SEEK_SET)
        buffer = memoryview(bytearray(_PIECE))
        try:
            while count := body.readinto(buffer):
                if self.offset + count > limit:
                    raise _too_large(limit)
                self._write(buffer[:count])
        finally:
            os.ftruncate(self._fd, self.offset)

    def verify(self, digest: Digest) -> bool:
        """Whether what has come is `digest`; synced to disk when it is."""
        running = self._hash if digest.algorithm == "sha256" else None
        if running is None:
            running = self._rehash(digest.algorithm)
        if running.hexdigest() != digest.encoded:
            return False
        os.fsync(self._fd)
        os.fchmod(self._fd, 0o644)
        return True

    def remove(self) -> None:
        """End the upload: its name becomes unknown, its bytes are freed (unless adopted)."""
        self._gone = True
        try:
            os.unlink(os.path.join(self._path, "repository"))
        except FileNotFoundError:
            pass
        shutil.rmtree(self._path, ignore_errors=True)

    def _write(self, data: memoryview) -> None:
        try:
            while data:
                count = os.write(self._fd, data)
                assert self._hash is not None
                self._hash.update(data[:count])
                self.offset += count
                data = data[count:]
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise Refusal(507, "DENIED", "the hub's disk is full") from error

    def _rehash(self, algorithm: str) -> hashlib._Hash:
        with open(self.data_path, "rb") as file:
            return hashlib.file_digest(file, algorithm)

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if self._hash is not None and not self._gone:
            self._uploads.keep_hash(self.id, self._hash, self.offset)
        os.close(self._fd)


def _unknown(upload_id: str) -> Refusal:
    detail = {"uuid": upload_id[:100]}
    return Refusal(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", detail=detail)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "SIZE_INVALID", f"the upload exceeds the {limit} bytes there is room for")
