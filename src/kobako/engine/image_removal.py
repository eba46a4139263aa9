"""Taking names from images, and images from the store."""

from __future__ import annotations

from kobako.engine import (
    containers,
    image_naming,
    image_platforms,
    images,
    recording,
    sweep,
)
from kobako.errors import Conflict
from kobako.store import reserve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine
    from kobako.engine.images import LocalImage
    from kobako.oci import Digest


def remove(engine: Engine, name: str, *, force: bool = False) -> list[str]:
    """Take a name from an image and, with the last one, the image; docker's lines.

    By id, an image with several names needs `force`. An image that a container uses stays (without
    a name) until the container goes; taking its last name needs `force`, and is refused altogether
    while the container runs.
    """
    reserve.spend(engine.settings.root)
    image = images.find(engine, name)
    db = engine.store.db
    with db.transaction():  # a name given meanwhile must not be lost
        names = [ref.name for ref in db.refs.of_image(image.id)]
        users = [row.id for row in db.containers.list() if row.image_id == image.id]
        if image.reference is not None:
            taken = _names_meant(names, image)
        else:
            taken = names
            if len({images.repository(n) for n in names}) > 1 and not force:
                raise Conflict(
                    f"conflict: unable to delete {image.id.short} (must be forced) - image is "
                    "referenced in multiple repositories"
                )
        last = set(names) <= set(taken)
        running = [user for user in users if _runs(engine, user)]
        if last and users and (running or not force):
            told = "" if force else name  # what is forced is the image itself, whatever its name
            raise Conflict(_in_use(engine, image, told, (running or users)[0]))
        for key in taken:
            db.refs.delete(key)
        labels = recording.image_labels(engine, image.id)
        gone = [image.id] if last and not users else []
        gone += _siblings_alone(engine, image) if last else []
        for image_id in gone:
            db.images.delete(image_id)
    recording.images(engine, *(("untag", image.id, image.id) for _ in taken), labels=labels)
    recording.images(engine, *(("delete", i, i) for i in gone), labels={})
    lines = [f"Untagged: {image_naming.shown(n)}" for n in taken]
    if gone:
        sweep.sweep(engine, grace_seconds=0)  # what running operations need, leases keep
        lines += [f"Deleted: {image_id}" for image_id in gone]
    return lines


def _siblings_alone(engine: Engine, image: LocalImage) -> list[Digest]:
    """Images for other platforms that only the index of a removed name made known."""
    index = image_platforms.index_of(engine, image)
    db = engine.store.db
    if index is None or any(ref.digest == image.target for ref in db.refs.list()):
        return []
    used = {row.image_id for row in db.containers.list()}
    rows = [db.images.of_manifest(entry.digest) for entry in index.manifests]
    return [
        row.id
        for row in rows
        if row is not None
        and row.id != image.id
        and row.id not in used
        and not db.refs.of_image(row.id)
    ]


def _runs(engine: Engine, container: str) -> bool:
    return containers.find(engine, container).active


def _names_meant(names: list[str], image: LocalImage) -> list[str]:
    """Which names a removal by reference takes away: that tag, or all of that digest's."""
    reference = image.reference
    assert reference is not None
    if reference.digest is None:
        return [str(reference)]
    return [n for n in names if images.repository(n) == reference.name]


def _in_use(engine: Engine, image: LocalImage, name: str, container: str) -> str:
    """Docker's two sentences: for a name and for an id."""
    if image.reference is not None and name:
        return (
            f'conflict: unable to remove repository reference "{name}" (must force) - container '
            f"{container[:12]} is using its referenced image {image.id.short}"
        )
    running = containers.find(engine, container).active
    state = "running" if running else "stopped"
    forced = "cannot be forced" if running else "must be forced"
    return (
        f"conflict: unable to delete {image.id.short} ({forced}) - image is being used by "
        f"{state} container {container[:12]}"
    )
