"""Images of the store: finding, recording and naming them."""

from __future__ import annotations

from kobako.errors import Invalid, NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine
    from kobako.oci import Digest, ImageConfig, Index, Manifest, Reference
    from kobako.store.images import ImageRow


class LocalImage(Record):
    """An image of the store. `id` is its config's digest, `target` what the name it was found by
    points to (a manifest or an index), `reference` that name or None when found by id."""

    row: ImageRow
    target: Digest
    reference: Reference | None = None

    @property
    def id(self) -> Digest:
        return self.row.id


def find(engine: Engine, name: str) -> LocalImage:
    """The image a person means by a name, an id or an unambiguous beginning of one.

    `NotFound` has docker's words: No such image: name:tag.
    """
    from kobako.oci.reference import Reference

    db = engine.store.db
    hexed = name.removeprefix("sha256:")
    if len(hexed) == 64 and _is_hex(hexed):
        row = db.images.get("sha256:" + hexed)
        if row is not None:
            return LocalImage(row, row.manifest)
        named = _by_target(engine, "sha256:" + hexed)
        if named is not None:
            return named
    reference: Reference | None = None
    try:
        reference = Reference.parse(name)
    except Invalid:
        if not name.startswith("sha256:"):
            raise
    if reference is not None:
        found = _by_reference(engine, reference.with_default_tag())
        if found is not None:
            return found
    if hexed and _is_hex(hexed):
        try:
            row = db.images.find(hexed)
        except NotFound:
            pass
        else:
            return LocalImage(row, row.manifest)
    shown = reference.with_default_tag().familiar() if reference is not None else name
    raise NotFound(f"No such image: {shown}")


def _by_reference(engine: Engine, reference: Reference) -> LocalImage | None:
    db = engine.store.db
    if reference.digest is None:
        row = db.images.of_reference(str(reference))
        if row is None:
            return None
        target = db.refs.get(str(reference)) or row.manifest
        return LocalImage(row, target, reference)
    for ref in db.refs.list():
        if ref.digest == reference.digest and repository(ref.name) == reference.name:
            row = db.images.get(ref.image)
            if row is not None:
                return LocalImage(row, ref.digest, reference)
    return None


def _by_target(engine: Engine, digest: str) -> LocalImage | None:
    """The image of a name that points to this manifest or index: what `build -q` prints of an
    index can be run."""
    db = engine.store.db
    for ref in db.refs.list():
        if ref.digest == digest:
            row = db.images.get(ref.image)
            if row is not None:
                return LocalImage(row, ref.digest)
    return None


def repository(name: str) -> str:
    """The repository of a ref's name, without tag and digest."""
    head = name.partition("@")[0]
    path, colon, tag = head.rpartition(":")
    return path if colon and "/" not in tag else head


def manifest(engine: Engine, image: LocalImage) -> Manifest:
    """The image's manifest."""
    from kobako.oci import Manifest

    return Manifest.parse(engine.store.blobs.read(image.row.manifest))


def config(engine: Engine, image: LocalImage) -> ImageConfig:
    """The image's config."""
    from kobako.oci import ImageConfig

    return ImageConfig.parse(engine.store.blobs.read(image.id))


def serves(engine: Engine, image: LocalImage, platform: str) -> bool:
    """Whether the image is of the platform asked for."""
    from kobako.oci import Platform

    return config(engine, image).platform.matches(Platform.parse(platform))


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
    if image.target == image.row.manifest:
        return None
    from kobako.oci import Index, parse_manifest_or_index

    found = parse_manifest_or_index(engine.store.blobs.read(image.target))
    return found if isinstance(found, Index) else None


def _child(engine: Engine, image: LocalImage, digest: Digest) -> LocalImage | None:
    """The image of a manifest of an index, when all of it is here."""
    from kobako.engine import unpack
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
        record(engine, child.manifest, child.config, unpack.size(engine, child.config))
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


def record(
    engine: Engine,
    manifest: Manifest,
    config: ImageConfig,
    size: int,
    names: tuple[Reference, ...] = (),
    target: Digest | None = None,
    parent: str = "",
    created_ns: int | None = None,
) -> Digest:
    """Make an image known whose blobs are all in the store, under `names`; returns its id.

    `target` is what the names point to, when it is not the manifest itself (an index). `created_ns`
    is when it was made, for listings, where its config tells another time on purpose.
    """
    from kobako.engine import moments
    from kobako.store.images import ImageRow

    db = engine.store.db
    row = ImageRow(
        id=config.digest,
        manifest=manifest.digest,
        created_ns=moments.created_ns(config) if created_ns is None else created_ns,
        size=size,
        parent=parent,
        platform=str(config.platform),
        diff_ids=config.diff_ids,
    )
    with db.transaction():
        db.images.add(row)
        for name in names:
            db.refs.set(str(name.with_default_tag()), target or manifest.digest, row.id)
    return row.id


def made_ns(engine: Engine, config: ImageConfig) -> int:
    """When an image that was just built was first made here: its config tells the epoch."""
    from time import time_ns

    row = engine.store.db.images.get(config.digest)
    return row.created_ns if row is not None else time_ns()


def tag(engine: Engine, source: str, target: str) -> None:
    """Give an image one more name; an image that had the name keeps its others."""
    image = find(engine, source)
    reference = new_name(target)
    engine.store.db.refs.set(str(reference), image.target, image.id)


def new_name(text: str) -> Reference:
    """A name an image may be given: with the default tag, without a digest."""
    from kobako.oci.reference import Reference

    try:
        reference = Reference.parse(text)
    except Invalid as fault:
        raise Invalid(
            f'Error parsing reference: "{text}" is not a valid repository/tag: {fault}'
        ) from None
    if reference.digest is not None:
        raise Invalid(f"refusing to create a tag with a digest reference: {text}")
    return reference.with_default_tag()


def shown(name: str) -> str:
    """A ref's name as people write it."""
    from kobako.oci.reference import Reference

    return Reference.parse(name).familiar()


def _is_hex(text: str) -> bool:
    return all(c in "0123456789abcdef" for c in text)
