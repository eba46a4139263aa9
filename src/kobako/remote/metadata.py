"""What an image says of itself, without bringing it here: its manifest and its config."""

from __future__ import annotations

from functools import partial

from kobako.errors import Corrupt, Invalid
from kobako.oci.config import ImageConfig
from kobako.oci.manifest import Index, Manifest
from kobako.remote.registry import Registry
from kobako.remote.repository import Repository
from kobako.remote.transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.oci.platform import Platform
    from kobako.oci.reference import Reference
    from kobako.remote.client import Client
    from kobako.remote.session import Session

_MAX_CONFIG = 8 << 20
_MAX_NESTING = 4


def document(reference: Reference, client: Client) -> Manifest | Index:
    """What a reference names in its registry, verified if that is a digest; nothing is stored.

    Raises `NotFound`, `Unauthorized`, `Denied`, `Invalid`, `Corrupt`, `Unavailable`.
    """
    return documents([reference], client)[0]


def documents(references: Sequence[Reference], client: Client) -> list[Manifest | Index]:
    """The same of several references of one registry, over one connection."""
    if not references:
        return []

    def ask(reference: Reference, session: Session) -> Manifest | Index:
        return Repository(session, reference).manifest(str(reference.digest or reference.tag))

    with Transport(client) as transport:
        registry = Registry(references[0].domain, transport)
        return [registry.first(partial(ask, one.with_default_tag())) for one in references]


def image_config(reference: Reference, platform: Platform, client: Client) -> ImageConfig:
    """The config of an image in its registry, verified; nothing is stored.

    Raises `NotFound` (also for a platform the image does not have), `Unauthorized`, `Denied`,
    `Invalid`, `Corrupt`, `Unavailable`.
    """
    reference = reference.with_default_tag()

    def ask(session: Session) -> ImageConfig:
        repository = Repository(session, reference)
        found = repository.manifest(str(reference.digest or reference.tag))
        for _ in range(_MAX_NESTING):
            if isinstance(found, Manifest):
                break
            found = repository.manifest(str(found.select(platform).digest))
        if isinstance(found, Index):
            raise Invalid(f"{reference.familiar()}: indexes nested too deeply")
        return config(repository, found)

    with Transport(client) as transport:
        return Registry(reference.domain, transport).first(ask)


def config(repository: Repository, manifest: Manifest) -> ImageConfig:
    """The config of an image in a repository, verified. Raises as `image_config`."""
    wanted = manifest.config
    raw = wanted.data
    if raw is None:
        with repository.blob(wanted.digest) as response:
            raw = response.document(_MAX_CONFIG)
    if len(raw) != wanted.size or not wanted.digest.verifies(raw):
        raise Corrupt(
            f"{repository.reference.familiar()}: its config is not what {wanted.digest} says"
        )
    return ImageConfig.parse(raw)
