"""Making images known, and naming them."""

from __future__ import annotations

from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine
    from kobako.oci import Digest, ImageConfig, Manifest, Reference
    from kobako.store import Database


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
    is when it was made, for listings, where its config tells another time on purpose. Where all
    of it is known already nothing is written: a build that finds everything in its cache asks
    nothing of the disk.
    """
    from kobako.engine import moments
    from kobako.store.rows import ImageRow

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
    points_to = target or manifest.digest
    full = [str(name.with_default_tag()) for name in names]
    if db.images.get(row.id) == row and all(_means(db, name, points_to, row.id) for name in full):
        return row.id
    with db.transaction():
        db.images.add(row)
        for name in full:
            db.refs.set(name, points_to, row.id)
    return row.id


def tell(engine: Engine, config: ImageConfig, names: tuple[Reference, ...]) -> None:
    """Record that an image was given names, for `events`."""
    from kobako.store import event_log

    if names:
        labels = config.config.get("Labels") or {}
        lines = [
            event_log.line("image", "tag", event_log.subject(config.digest, attributes))
            for attributes in ({**labels, "name": name.familiar()} for name in names)
        ]
        event_log.append(engine.settings.root, b"".join(lines))


def _means(db: Database, name: str, target: Digest, image: str) -> bool:
    row = db.refs.row(name)
    return row is not None and row.digest == target and row.image == image


def made_ns(engine: Engine, config: ImageConfig) -> int:
    """When an image that was just built was first made here: its config tells the epoch."""
    from time import time_ns

    row = engine.store.db.images.get(config.digest)
    return row.created_ns if row is not None else time_ns()


def tag(engine: Engine, source: str, target: str) -> None:
    """Give an image one more name; an image that had the name keeps its others."""
    from kobako.engine import images

    image = images.find(engine, source)
    reference = new_name(target)
    engine.store.db.refs.set(str(reference), image.target, image.id)
    tell(engine, images.config(engine, image), (reference,))


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
