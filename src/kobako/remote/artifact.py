"""Parts of what a registry holds under a name, one by one: documents first, blobs when needed."""

from __future__ import annotations

from kobako.errors import Corrupt, Invalid
from kobako.oci.manifest import Index, Manifest
from kobako.remote import workers
from kobako.remote.download import Download
from kobako.remote.registry import Registry
from kobako.remote.repository import Repository
from kobako.remote.transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kobako.oci.descriptor import Descriptor
    from kobako.oci.digest import Digest
    from kobako.oci.reference import Reference
    from kobako.remote.client import Client
    from kobako.remote.session import Session
    from kobako.store.content import ContentStore


def read_documents(
    reference: Reference,
    client: Client,
    wanted: Callable[[Manifest | Index], list[Descriptor]],
    limit: int,
) -> tuple[Manifest | Index, dict[Digest, bytes]]:
    """What a reference names, and the documents `wanted` asks for of it, verified: manifests and
    indexes are asked again for theirs. Nothing is stored.

    Raises `NotFound`, `Unauthorized`, `Denied`, `Invalid` (also for a document larger than
    `limit`), `Corrupt`, `Unavailable`.
    """
    reference = reference.with_default_tag()

    def ask(session: Session) -> tuple[Manifest | Index, dict[Digest, bytes]]:
        repository = Repository(session, reference)
        top = repository.manifest(str(reference.digest or reference.tag))
        found: dict[Digest, bytes] = {}
        waiting = wanted(top)
        while waiting:
            part = waiting.pop()
            if part.digest in found:
                continue
            if part.media_type.endswith(("manifest.v1+json", "manifest.v2+json")):
                inner = repository.manifest(str(part.digest))
                found[part.digest] = inner.raw
                waiting += wanted(inner)
            else:
                found[part.digest] = _document(repository, part, limit)
        return top, found

    with Transport(client) as transport:
        return Registry(reference.domain, transport).first(ask)


def _document(repository: Repository, part: Descriptor, limit: int) -> bytes:
    name = repository.reference.familiar()
    if part.size > limit:
        raise Invalid(f"{name}: {part.digest} has {part.size} bytes, more than {limit}")
    with repository.blob(part.digest) as response:
        raw = response.document(limit)
    if len(raw) != part.size or not part.digest.verifies(raw):
        raise Corrupt(f"{name}: the registry sent other content than {part.digest}")
    return raw


def fetch_blobs(
    blobs: ContentStore, reference: Reference, wanted: Sequence[Descriptor], client: Client
) -> None:
    """Bring blobs of a repository into the store, verified by digest and size, several at once.
    No threads are left behind."""
    with Transport(client) as transport:

        def ask(session: Session) -> None:
            repository = Repository(session, reference)
            tasks = [_fetching(blobs, session, repository, blob) for blob in wanted]
            workers.run(tasks, client.limits.parallel, transport.abort)

        Registry(reference.domain, transport).first(ask)


def _fetching(
    blobs: ContentStore, session: Session, repository: Repository, blob: Descriptor
) -> workers.Task:
    source = session, lambda offset: repository.blob(blob.digest, offset)
    return lambda: Download(blobs, blob, None).run([source])
