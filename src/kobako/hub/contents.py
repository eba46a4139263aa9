"""Bytes on disk: content of the embedded store, adopted from uploads without copying."""

from __future__ import annotations

import os
import secrets

from kobako.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from kobako.oci import Digest
    from kobako.store import Store


class Contents:
    """The blobs of all repositories, each digest once.

    `scratch` is a directory of the same filesystem for documents on their way in.
    """

    def __init__(self, store: Store, scratch: str) -> None:
        self._store = store
        self._scratch = scratch

    def path(self, digest: Digest) -> str:
        """Where the bytes of a digest lie (or would)."""
        return os.fspath(self._store.blobs.path(digest))

    def open(self, digest: Digest) -> tuple[BinaryIO, int]:
        """The open file and its size; `Corrupt` when a blob we vouched for is not there."""
        try:
            file = open(self.path(digest), "rb")
        except FileNotFoundError as error:
            raise Corrupt(f"the content of {digest} is lost", hint="push it again") from error
        return file, os.fstat(file.fileno()).st_size

    def read(self, digest: Digest) -> bytes:
        """A document, verified."""
        file, _ = self.open(digest)
        with file:
            data = file.read()
        if not digest.verifies(data):
            raise Corrupt(f"the content of {digest} was altered on disk", hint="push it again")
        return data

    def adopt(self, source: str, digest: Digest) -> None:
        """Make the verified and synced file `source` the content of `digest`; it stays, too.

        The new name becomes durable with the next document `put`: until a manifest refers to a
        blob, losing it in a power cut costs its client another upload and nothing else.
        """
        target = self.path(digest)
        directory = os.path.dirname(target)
        os.makedirs(directory, exist_ok=True)
        try:
            os.link(source, target)
        except FileExistsError:
            os.utime(target)  # young again: the collector leaves it alone

    def put(self, data: bytes, digest: Digest) -> None:
        """Store a document whose digest is known to be right."""
        path = os.path.join(self._scratch, f"document-{secrets.token_hex(8)}")
        with open(path, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            self.adopt(path, digest)
        finally:
            os.unlink(path)
        root = os.path.dirname(os.path.dirname(self.path(digest)))
        for algorithm in os.listdir(root):  # the names of the blobs it refers to as well
            fd = os.open(os.path.join(root, algorithm), os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
