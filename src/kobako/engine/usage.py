"""How much disk things take."""

from __future__ import annotations

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine


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
    """Layers that images share are counted once: their blobs and their unpacked trees."""
    db, blobs, trees = engine.store.db, engine.store.blobs, engine.trees
    used = {row.image_id for row in db.containers.list()}
    rows = db.images.list()
    kept = {d for row in rows if row.id in used for d in row.diff_ids}
    whole = {d for row in rows for d in row.diff_ids}
    sizes = {d: trees.usage(d) for d in whole if trees.has(d)}
    stored = sum(blobs.size(d) for d in blobs)
    size = stored + sum(sizes.values())
    spare = sum(n for d, n in sizes.items() if d not in kept)
    if not kept:
        spare = size
    active = sum(row.id in used for row in rows)
    return Part("Images", len(rows), active, size, spare)


def _containers(engine: Engine) -> Part:
    from kobako.engine import containers

    found = containers.select(engine, everything=True, filters={})
    sizes = [engine.driver.usage(c.directory) for c in found]
    idle = sum(n for c, n in zip(found, sizes, strict=True) if not c.running)
    active = sum(c.running for c in found)
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
    """Image id -> (bytes in layers other images have too, bytes in its own)."""
    rows, trees = engine.store.db.images.list(), engine.trees
    users: dict[str, int] = {}
    for row in rows:
        for diff_id in set(row.diff_ids):
            users[diff_id] = users.get(diff_id, 0) + 1
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        shared = own = 0
        for diff_id in set(row.diff_ids):
            size = trees.usage(diff_id) if trees.has(diff_id) else 0
            if users[diff_id] > 1:
                shared += size
            else:
                own += size
        found[row.id] = shared, own
    return found
