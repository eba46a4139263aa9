"""How much disk things take."""

from __future__ import annotations

from kobako.errors import NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine
    from kobako.oci import Digest


class Part(Record):
    """One line of `system df`; sizes in bytes."""

    kind: str
    total: int
    active: int
    size: int
    reclaimable: int


def container(engine: Engine, container: Container) -> tuple[int, int]:
    """(bytes in the writable layer, those and the image's)."""
    written = engine.driver.usage(container.directory)
    row = engine.store.db.images.get(container.image_id)
    return written, written + (row.size if row is not None else 0)


def summary(engine: Engine) -> list[Part]:
    """Images, containers, volumes and build cache, docker's lines."""
    return [_images(engine), _containers(engine), _volumes(engine), _cache(engine)]


def _images(engine: Engine) -> Part:
    """What they take on the disk: the blobs of their layers, as they are pushed, and the trees
    unpacked from those. What images share is counted once."""
    used = {row.image_id for row in engine.store.db.containers.list()}
    parts = _image_parts(engine)
    whole = {part: size for held in parts.values() for part, size in held.items()}
    kept = {part for image, held in parts.items() if image in used for part in held}
    spare = sum(size for part, size in whole.items() if part not in kept)
    active = sum(image in used for image in parts)
    return Part("Images", len(parts), active, sum(whole.values()), spare)


def _image_parts(engine: Engine) -> dict[str, dict[tuple[str, Digest], int]]:
    """Image id -> ("blob" or "tree", digest) of what it is made of -> bytes on the disk."""
    from kobako.store.closure import Closure

    db, closure = engine.store.db, Closure(engine.store.blobs)
    sizes: dict[tuple[str, Digest], int | None] = {}
    found: dict[str, dict[tuple[str, Digest], int]] = {}
    for row in db.images.list():
        named = [ref.digest for ref in db.refs.of_image(row.id)]  # an index, perhaps
        held, diff_ids = closure.of([row.id, row.manifest, *named])
        parts = found[row.id] = {}
        for part in (*(("blob", d) for d in held), *(("tree", d) for d in diff_ids)):
            if part not in sizes:
                sizes[part] = _size(engine, *part)
            size = sizes[part]
            if size is not None:
                parts[part] = size
    return found


def _size(engine: Engine, kind: str, digest: Digest) -> int | None:
    """None for what is not there. Nothing is new to a collection by having been looked at here."""
    try:
        if kind == "tree":
            if not engine.try_enter():
                return None
            return engine.trees.usage(digest)
        return engine.store.blobs.size(digest)
    except NotFound:
        return None


def _containers(engine: Engine) -> Part:
    from kobako.engine import containers

    found = containers.select(engine, everything=True, filters={})
    sizes = [engine.driver.usage(c.directory) if engine.try_enter() else 0 for c in found]
    idle = sum(n for c, n in zip(found, sizes, strict=True) if not c.active)
    active = sum(c.active for c in found)
    return Part("Containers", len(found), active, sum(sizes), idle)


def _volumes(engine: Engine) -> Part:
    from kobako.engine import volume_store

    found = volume_store.select(engine, {})
    sizes = [volume_store.usage(engine, volume) for volume in found]
    idle = sum(n for v, n in zip(found, sizes, strict=True) if not v.users)
    return Part("Local Volumes", len(found), sum(bool(v.users) for v in found), sum(sizes), idle)


def _cache(engine: Engine) -> Part:
    from kobako.engine.build import cache_usage

    found = cache_usage.objects(engine)
    size = sum(one.size for one in found)
    spare = sum(one.size for one in found if not one.in_use and not one.shared)
    return Part("Build Cache", len(found), sum(one.in_use for one in found), size, spare)


def image_shares(engine: Engine) -> dict[str, tuple[int, int]]:
    """Image id -> (bytes on the disk of what other images have too, of what is its own)."""
    parts = _image_parts(engine)
    users: dict[tuple[str, Digest], int] = {}
    for held in parts.values():
        for part in held:
            users[part] = users.get(part, 0) + 1
    found: dict[str, tuple[int, int]] = {}
    for image, held in parts.items():
        own = sum(size for part, size in held.items() if users[part] == 1)
        found[image] = sum(held.values()) - own, own
    return found
