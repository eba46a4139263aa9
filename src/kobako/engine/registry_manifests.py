"""What a registry has under a name, looked at without bringing it here."""

from __future__ import annotations

from kobako.errors import NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from kobako.engine.engine import Engine
    from kobako.oci import Digest, Index, Manifest, Platform, Reference
    from kobako.remote.client import Client
    from kobako.remote.compose import Composition


class Found(Record):
    """A manifest or index, and the name it was found by."""

    reference: Reference
    document: Manifest | Index

    def named(self, digest: Digest) -> Reference:
        """What the registry has by a digest in the same repository."""
        return self.reference.replace(tag=None, digest=digest)


def look_up(engine: Engine, name: str, *, insecure: bool = False) -> Found:
    """`NotFound` has docker's words. `insecure`: the registry's certificate does not matter."""
    from kobako.oci import Reference
    from kobako.remote import metadata

    reference = Reference.parse(name).with_default_tag()
    try:
        return Found(reference, metadata.document(reference, _client(engine, reference, insecure)))
    except NotFound:
        raise NotFound(f"no such manifest: {reference.familiar()}") from None


def platform(engine: Engine, found: Found, *, insecure: bool = False) -> Platform:
    """What the image of a manifest is for, as its config says."""
    from kobako.oci import Platform
    from kobako.remote import metadata

    client = _client(engine, found.reference, insecure)
    return metadata.image_config(found.reference, Platform.host(), client).platform


def children(engine: Engine, found: Found, *, insecure: bool = False) -> list[Found]:
    """What an index names, in its order; of a manifest itself alone."""
    from kobako.oci import Index
    from kobako.remote import metadata

    if not isinstance(found.document, Index):
        return [found]
    client = _client(engine, found.reference, insecure)
    references = [found.named(entry.digest) for entry in found.document.manifests]
    documents = metadata.documents(references, client)
    return [Found(*pair) for pair in zip(references, documents, strict=True)]


def configs(engine: Engine, found: Found) -> dict[str, dict[str, Any]]:
    """The configs of the images found, by platform."""
    from kobako.oci import Index, Platform
    from kobako.remote import metadata

    document, client = found.document, _client(engine, found.reference, False)
    if not isinstance(document, Index):
        config = metadata.image_config(found.reference, Platform.host(), client)
        return {str(config.platform): config.data}
    return {
        str(entry.platform): metadata.image_config(
            found.named(entry.digest), entry.platform, client
        ).data
        for entry in document.manifests
        if entry.platform is not None and entry.platform.os != "unknown"
    }


def composition(engine: Engine, sources: Sequence[Reference]) -> Composition:
    """What an index of what the sources name is made of; to be closed."""
    from kobako.engine import transfers
    from kobako.remote.compose import Composition

    return Composition(sources, transfers.client(engine))


def _client(engine: Engine, reference: Reference, insecure: bool) -> Client:
    from kobako.engine import transfers

    return transfers.client(engine, insecure=reference.domain if insecure else "")
