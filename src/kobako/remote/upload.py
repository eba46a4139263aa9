"""One blob into a repository: found there, mounted from another, or uploaded."""

from __future__ import annotations

import os

from kobako.errors import Denied, Invalid, NotFound, Unauthorized, Unavailable
from kobako.events import LayerProgress
from kobako.remote.body import Body
from kobako.remote.failures import Transient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.events import OnEvent
    from kobako.oci.descriptor import Descriptor
    from kobako.remote.repository import Repository
    from kobako.store.content import ContentStore

_STEP = 1 << 18
"""Bytes between two progress events, at least."""


class Source:
    """Where the bytes of blobs come from."""

    def body(self, blob: Descriptor, told: Callable[[int], None]) -> Body:
        """All the bytes of a blob. `told` hears now and then how many have been read."""
        raise NotImplementedError

    def verify(self, blob: Descriptor) -> None:
        """Raises `Corrupt` if the reason for a refusal is that the bytes are damaged here."""


class Stored(Source):
    """The store."""

    def __init__(self, blobs: ContentStore) -> None:
        self._blobs = blobs

    def body(self, blob: Descriptor, told: Callable[[int], None]) -> Body:
        self._blobs.size(blob.digest)  # names the blob if it is gone
        return _File(self._blobs.path(blob.digest), told)

    def verify(self, blob: Descriptor) -> None:
        with self._blobs.open(blob.digest) as stream:
            while stream.read(1 << 20):
                pass


class Upload:
    """A blob on its way; `run` does it. Idempotent: what broke off is simply done again."""

    def __init__(
        self,
        source: Source,
        blob: Descriptor,
        repository: Repository,
        mounts: tuple[str, ...],
        shown: str = "",
        on_event: OnEvent | None = None,
    ) -> None:
        """`mounts` are repositories of the same registry that may have the blob, `shown` the id
        in events; `on_event` None: not a layer, nobody watches.
        """
        self._source = source
        self._blob = blob
        self._repository = repository
        self._mounts = mounts
        self._id = shown
        self._on_event = on_event

    def run(self) -> None:
        """Bring the blob there, with retries. Raises `KobakoError`s."""
        self._repository.session.retried(self._once)

    def _once(self) -> None:
        if self._repository.has_blob(self._blob.digest, self._blob.size):
            self._say("Layer already exists")
            return
        upload = ""
        for path in self._mounts:
            try:
                upload = self._repository.begin_upload(self._blob.digest, mount_from=path)
            except (Unauthorized, Denied, NotFound, Invalid):
                continue  # the other repository is none of our business, or is gone
            if not upload:
                self._say(f"Mounted from {path}")
                return
            break
        self._send(upload or self._repository.begin_upload(self._blob.digest))
        self._say("Pushed")

    def _send(self, upload: str) -> None:
        """All bytes in one PUT; in PATCH and PUT where a registry cannot take that."""
        digest, size = self._blob.digest, self._blob.size
        self._say("Pushing", 0)
        try:
            self._repository.put_blob(upload, digest, self._body, size)
        except Transient:
            raise
        except (Invalid, NotFound, Denied, Unavailable) as fault:
            if isinstance(fault, Denied) and "405" not in str(fault) and fault.hint:
                raise  # refused by a judgement on us, not on the method
            self._source.verify(self._blob)
            upload = self._repository.begin_upload(digest)
            upload = self._repository.patch_blob(upload, self._body, size)
            self._repository.put_blob(upload, digest, b"", 0)

    def _body(self) -> Body:
        return self._source.body(self._blob, lambda sent: self._say("Pushing", sent))

    def _say(self, action: str, current: int = 0) -> None:
        if self._on_event is not None:
            total = self._blob.size if action == "Pushing" else 0
            self._on_event(LayerProgress(self._id, action, current, total))


class _File(Body):
    """A blob's file that tells how far it has been read. The registry checks the digest, so the
    bytes are not hashed here once more.
    """

    def __init__(self, path: str, told: Callable[[int], None]) -> None:
        super().__init__()
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._told = told
        self._sent = 0
        self._shown = 0

    def read(self, size: int | None = -1) -> bytes:
        data = os.read(self._fd, size if size is not None and size >= 0 else 1 << 20)
        self._sent += len(data)
        if self._sent - self._shown >= _STEP:
            self._shown = self._sent
            self._told(self._sent)
        return data

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._fd)
