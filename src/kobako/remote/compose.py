"""An index made of what registries have already, put under a name: nothing goes through the store.

Each manifest is brought beside the index where it is not there yet: its blobs are found, mounted
from another repository of the registry, or streamed from server to server.
"""

from __future__ import annotations

from kobako.errors import Invalid
from kobako.oci import mediatypes
from kobako.oci.manifest import Index, Manifest
from kobako.record import Record
from kobako.remote import metadata, workers
from kobako.remote.body import Body
from kobako.remote.registry import Registry
from kobako.remote.repository import Repository
from kobako.remote.transport import Transport
from kobako.remote.upload import Source, Upload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from kobako.oci.descriptor import Descriptor
    from kobako.oci.digest import Digest
    from kobako.oci.reference import Reference
    from kobako.remote.client import Client
    from kobako.remote.transport import Response


class Part(Record):
    """A manifest of an index to be, and the repository it is in."""

    repository: Repository
    entry: Descriptor


class Composition:
    """The parts of what `sources` name, looked up at once; a context manager.

    Raises `NotFound`, `Unauthorized`, `Denied`, `Invalid`, `Unavailable`, as all its methods do.
    """

    def __init__(self, sources: Sequence[Reference], client: Client) -> None:
        self._client = client
        self._transport = Transport(client)
        self._single: Manifest | Index | None = None
        self._parts: dict[Digest, Part] = {}
        try:
            for source in sources:
                self._look_up(source.with_default_tag())
            if len(sources) > 1:
                self._single = None
        except BaseException:
            self._transport.close()
            raise

    def __enter__(self) -> Composition:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def document(
        self, annotations: Sequence[tuple[str, str]] = (), *, prefer_index: bool = True
    ) -> Manifest | Index:
        """What the parts come to: one source that is an index, or need be none, is that itself."""
        single = self._single
        as_it_is = isinstance(single, Index) or not prefer_index
        if single is not None and as_it_is and not annotations:
            return single
        entries = [part.entry for part in self._parts.values()]
        docker = not annotations and all(mediatypes.is_docker(e.media_type) for e in entries)
        kind = mediatypes.DOCKER_INDEX if docker else mediatypes.OCI_INDEX
        return Index.build(entries, media_type=kind, annotations=annotations)

    def put(self, document: Manifest | Index, target: Reference) -> None:
        """Have the parts beside it, and then the document under its tag. Idempotent."""
        registry = Registry(target.domain, self._transport, push=True)
        there = Repository(registry.first(lambda session: session), target)
        for part in self._parts.values():
            if not self._is_in(part.repository, there):
                self._bring(part, there)
        there.session.retried(lambda: there.put_manifest(document, str(target.tag)))

    def _look_up(self, source: Reference) -> None:
        wanted = str(source.digest or source.tag)

        def ask(session: Any) -> tuple[Repository, Manifest | Index]:
            repository = Repository(session, source)
            return repository, repository.manifest(wanted)

        repository, found = Registry(source.domain, self._transport).first(ask)
        self._single = found
        if isinstance(found, Index):
            entries = found.manifests
        else:
            platform = metadata.config(repository, found).platform if found.is_image else None
            entries = (found.descriptor.replace(platform=platform),)
        for entry in entries:
            self._parts.setdefault(entry.digest, Part(repository, entry))

    @staticmethod
    def _is_in(repository: Repository, other: Repository) -> bool:
        return (repository.session.host, repository.path) == (other.session.host, other.path)

    def _bring(self, part: Part, there: Repository) -> None:
        """A manifest with all it needs into another repository."""
        here, digest = part.repository, str(part.entry.digest)
        document = here.session.retried(lambda: here.manifest(digest))
        if isinstance(document, Index):
            raise Invalid(f"{here.reference.familiar()}: an index within an index")
        blobs = {blob.digest: blob for blob in (*document.layers, document.config)}.values()
        mounts = (here.path,) if here.session.host == there.session.host else ()
        source = _Elsewhere(here)
        tasks = [Upload(source, blob, there, mounts).run for blob in blobs if not blob.urls]
        workers.run(tasks, self._client.limits.parallel, self._transport.abort)
        there.session.retried(lambda: there.put_manifest(document, digest))


class _Elsewhere(Source):
    """A repository of the same or of another registry. Who gets the bytes checks their digest."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def body(self, blob: Descriptor, told: Callable[[int], None]) -> Body:
        return _Passed(self._repository.blob(blob.digest))


class _Passed(Body):
    """What a server sends, to be sent to another."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self._response = response
        self._chunks = response.chunks()
        self._left = b""

    def read(self, size: int | None = -1) -> bytes:
        data = self._left or next(self._chunks, b"")
        if size is not None and size >= 0:
            data, self._left = data[:size], data[size:]
        else:
            self._left = b""
        return data

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._response.close()
