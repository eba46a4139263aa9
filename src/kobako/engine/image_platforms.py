"""Which image a name means on a platform: an index holds several."""

from __future__ import annotations

from kobako.engine import images
from kobako.engine.images import LocalImage
from kobako.errors import Invalid, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine
    from kobako.oci import Digest, Index


def serves(engine: Engine, image: LocalImage, platform: str) -> bool:
    """Whether the image is of the platform asked for."""
    from kobako.oci import Platform

    return images.config(engine, image).platform.matches(Platform.parse(platform))


def for_platform(engine: Engine, image: LocalImage, platform: str) -> LocalImage | None:
    """The image for a platform of what a name points to, an index maybe; None when it is not
    here. What of an index is first asked for is unpacked and made known."""
    index = index_of(engine, image)
    if index is not None:
        from kobako.oci import Platform

        try:
            chosen = index.select(Platform.parse(platform)).digest
        except NotFound:
            return None
        if chosen == image.row.manifest:
            return image
        found = _child(engine, image, chosen)
        if found is not None:
            return found
    return image if serves(engine, image, platform) else None


def index_of(engine: Engine, image: LocalImage) -> Index | None:
    """The index a name points to; None when it is a manifest."""
    if image.is_alone:
        return None
    from kobako.oci import Index, parse_manifest_or_index

    found = parse_manifest_or_index(engine.store.blobs.read(image.target))
    return found if isinstance(found, Index) else None


def _child(engine: Engine, image: LocalImage, digest: Digest) -> LocalImage | None:
    """The image of a manifest of an index, when all of it is here."""
    from kobako.engine import image_naming, unpack
    from kobako.events import ignore
    from kobako.image.mutate import Image
    from kobako.store.closure import missing

    store = engine.store
    if not store.blobs.exists(digest) or missing(store.blobs, digest):
        return None
    try:
        child = Image.read(store.blobs, digest)
    except Invalid:
        return None  # an index within the index
    row = store.db.images.get(child.id)
    if row is None or row.manifest != digest:
        unpack.unpack(engine, child.manifest, child.config, ignore)
        size = unpack.size(engine, child.manifest, child.config)
        image_naming.record(engine, child.manifest, child.config, size)
        row = store.db.images.get(child.id)
        if row is None:
            return None
    return LocalImage(row, image.target, image.reference)


def portable(engine: Engine, image: LocalImage) -> Digest:
    """What of a name can leave this store: its index if every image of it is here, else the
    manifest of the image it means on this machine."""
    index = index_of(engine, image)
    if index is None:
        return image.target
    from kobako.store.closure import missing

    blobs = engine.store.blobs
    for entry in index.manifests:
        if not blobs.exists(entry.digest) or missing(blobs, entry.digest):
            return image.row.manifest
    return image.target
