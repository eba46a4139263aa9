"""The store: content, database and directories under one root."""

from __future__ import annotations

import os

from kobako.errors import NotFound
from kobako.store.database import Database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.oci.digest import Digest
    from kobako.store.content import ContentStore


class Store:
    """Everything kobako keeps, under one directory (see "On disk" in docs/architecture.md).

    For any number of processes at once and for several threads, but not to be carried across a
    fork: open it anew in the child.
    """

    def __init__(self, root: str) -> None:
        """Use an existing store; `Store.open` is the door."""
        self.root = root
        self.ingest_dir = os.path.join(root, "ingest")
        self.containers_dir = os.path.join(root, "containers")
        self._blobs: ContentStore | None = None
        self.db = Database(
            os.path.join(root, "kobako.db"),
            lock_path=os.path.join(root, "schema.lock"),
            complete=self._require_complete,
        )

    @classmethod
    def open(cls, root: str, create: bool = True) -> Store:
        """The store at `root`, made if it is missing and `create` is set.

        Raises `NotFound` where there is none, `Denied` and `Unavailable` where it cannot be used,
        `Unsupported` if a newer kobako wrote it, `Corrupt` if its database is damaged.
        """
        root = os.path.abspath(root)
        if not os.path.exists(os.path.join(root, "oci-layout")):
            if not create:
                raise NotFound(f"no store at {root}")
            from kobako.store import layout

            layout.make(root)
        return cls(root)

    @property
    def blobs(self) -> ContentStore:
        """The content, by digest."""
        if self._blobs is None:
            from kobako.store.content import ContentStore

            self._blobs = ContentStore(self.root)
        return self._blobs

    def layers_dir(self, ownership: str) -> str:
        """The directory of unpacked layers of an ownership format; made if missing."""
        path = os.path.join(self.root, "layers", ownership)
        if not os.path.isdir(path):
            os.makedirs(path, exist_ok=True)
        return path

    def close(self) -> None:
        """Let go of the database. Idempotent; a process about to end need not."""
        self.db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()

    def _require_complete(self, digest: Digest) -> None:
        from kobako.store.closure import missing

        absent = missing(self.blobs, digest)
        if absent:
            raise NotFound(
                f"the store has no blob {absent[0]}"
                + (f", which {digest} refers to" if absent[0] != digest else ""),
                hint="pull, load or build it again",
            )
