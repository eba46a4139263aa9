"""What the build cache holds, what it takes on disk, and which of it may go.

An object is a layer with all the keys it is found by, a download, a cache mount, or the bookkeeping
of builds as a whole. Removing one while a build uses it does the build no harm: its lease keeps
layers and blobs, a cache mount in use is locked and passed over.
"""

from __future__ import annotations

import os
import time

from kobako.errors import Invalid
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from kobako.engine.engine import Engine
    from kobako.engine.prune import Report
    from kobako.oci import Digest
    from kobako.store.cache import CacheRow

REGULAR, SOURCE, MOUNT, INTERNAL = "regular", "source.http", "exec.cachemount", "internal"
_BOOKKEEPING = "bookkeeping"


class CacheObject(Record):
    """Something of the build cache. `size` in bytes; `shared`: images have it too, so that
    removing it frees nothing; `keys` are rows of the cache, `place` the directory of a mount."""

    id: str
    kind: str
    size: int
    shared: bool
    in_use: bool
    created_ns: int
    used_ns: int
    uses: int
    description: str
    keys: tuple[str, ...] = ()
    place: str = ""

    @property
    def mutable(self) -> bool:
        return self.kind == MOUNT


def objects(engine: Engine) -> list[CacheObject]:
    """Everything there is, the longest unused first."""
    inside = engine.try_enter()
    found = [*_of_rows(engine), *(_mounts(engine) if inside else ())]
    return sorted(found, key=lambda one: (one.used_ns, one.id))


def _of_rows(engine: Engine) -> list[CacheObject]:
    from kobako.fastjson import loads

    layers: dict[str, list[tuple[CacheRow, dict[str, Any]]]] = {}
    sources: list[CacheRow] = []
    others: list[CacheRow] = []
    for row in engine.store.db.cache.list():
        if row.kind == "url":
            sources.append(row)
        elif len(row.key) == 64 and b'"diff_id"' in row.value:
            document = loads(row.value)
            layers.setdefault(str(document["diff_id"]), []).append((row, document))
        else:
            others.append(row)
    used = {diff_id for image in engine.store.db.images.list() for diff_id in image.diff_ids}
    found = [_layer(engine, diff_id, rows, diff_id in used) for diff_id, rows in layers.items()]
    found += [_source(engine, row) for row in sources]
    if others:
        size = sum(len(row.value) for row in others)
        said = "what builds remember of files, steps and checks"
        found.append(_gathered(_BOOKKEEPING, INTERNAL, size, False, said, others))
    return found


def _layer(
    engine: Engine, diff_id: str, rows: list[tuple[CacheRow, dict[str, Any]]], shared: bool
) -> CacheObject:
    from kobako.oci import Digest

    size = 0
    if engine.try_enter() and engine.trees.has(Digest(diff_id)):
        size += engine.trees.usage(Digest(diff_id))
    size += sum(_stored(engine, Digest(d)) for d in {str(doc["blob"]["digest"]) for _, doc in rows})
    said = f"layer {diff_id}"
    return _gathered(Digest(diff_id).encoded, REGULAR, size, shared, said, [r for r, _ in rows])


def _source(engine: Engine, row: CacheRow) -> CacheObject:
    from kobako.store.collect import digests_in

    size = sum(_stored(engine, digest) for digest in set(digests_in(row.value)))
    return _gathered(row.key, SOURCE, size, False, "a file that was downloaded", [row])


def _stored(engine: Engine, digest: Digest) -> int:
    try:
        return os.stat(engine.store.blobs.path(digest)).st_size
    except OSError:
        return 0


def _gathered(
    name: str, kind: str, size: int, shared: bool, said: str, rows: Sequence[CacheRow]
) -> CacheObject:
    return CacheObject(
        name,
        kind,
        size,
        shared,
        False,
        min(row.created_ns for row in rows),
        max(row.used_ns for row in rows),
        sum(row.uses for row in rows),
        said,
        tuple(row.key for row in rows),
    )


def _mounts(engine: Engine) -> list[CacheObject]:
    from kobako.engine.build import cache_mount_places as places

    return [
        CacheObject(
            place.name,
            MOUNT,
            place.size,
            False,
            place.in_use,
            place.created_ns,
            place.used_ns,
            0,
            f"cache mount {place.id}",
            place=place.directory,
        )
        for place in places.every(engine)
    ]


class Bounds(Record):
    """How much may stay, in bytes; None: no bound. `free` is what the disk shall have."""

    most: int | None = None
    free: int | None = None


def prune(
    engine: Engine,
    report: Report,
    *,
    everything: bool = False,
    filters: dict[str, list[str]] | None = None,
    bounds: Bounds | None = None,
) -> None:
    """Removes objects, the longest unused first; what is in use stays. Blobs and trees that only
    they kept go with the next sweep.

    Without `everything` what images share and the bookkeeping stay. With bounds only so much is
    removed that they hold.
    """
    found = objects(engine)
    wanted = _Filter(filters or {}, everything)
    total = sum(one.size for one in found)
    room = _free(engine)
    for one in found:
        if bounds is not None:
            enough = bounds.most is None or total <= bounds.most
            if enough and (bounds.free is None or room >= bounds.free):
                break
        if not wanted.takes(one) or not _remove(engine, one, report):
            continue
        total -= one.size
        room += 0 if one.shared else one.size
        report.cache.append(one.id)


def _free(engine: Engine) -> int:
    disk = os.statvfs(engine.store.root)
    return disk.f_bavail * disk.f_frsize


def _remove(engine: Engine, one: CacheObject, report: Report) -> bool:
    if one.place:
        from kobako.engine.build import cache_mount_places as places

        if not places.remove(one.place, wait=False):
            return False
        report.reclaimed += one.size
        return True
    db = engine.store.db
    with db.transaction():
        for key in one.keys:
            db.cache.delete(key)
    return True


_KNOWN = ("id", "type", "until", "unused-for", "shared", "private", "mutable", "immutable", "inuse")


class _Filter:
    """`--filter`, as BuildKit's clients have them."""

    def __init__(self, filters: dict[str, list[str]], everything: bool) -> None:
        from kobako.engine import moments

        self._everything = everything
        self._filters = filters
        self._before = 0
        for key, values in filters.items():
            if key not in _KNOWN:
                raise Invalid(f"invalid filter '{key}'", hint=f"Known: {', '.join(_KNOWN)}")
            if len(values) != 1:
                raise Invalid(f'"{key}" filter expects only one value')
        if "until" in filters and "unused-for" in filters:
            raise Invalid('conflicting filters "until" and "unused-for"')
        for key in ("until", "unused-for"):
            if key in filters:
                self._before = moments.bound(filters[key][0])

    def takes(self, one: CacheObject) -> bool:
        if one.in_use:
            return False
        if self._before and one.used_ns >= self._before:
            return False
        if not self._everything and (one.shared or one.kind == INTERNAL):
            return False
        return self.matches(one)

    def matches(self, one: CacheObject) -> bool:
        """Whether an object is among those asked for, whatever its age."""
        facts = {
            "shared": one.shared, "private": not one.shared, "mutable": one.mutable,
            "immutable": not one.mutable, "inuse": one.in_use,
        }  # fmt: skip
        for key, (value, *_) in self._filters.items():
            if key in facts and facts[key] == (value.lower() in ("false", "0")):
                return False
            if key == "id" and value not in one.id:
                return False
            if key == "type" and one.kind != value:
                return False
        return True


def select(engine: Engine, filters: dict[str, list[str]]) -> list[CacheObject]:
    """The objects `--filter` asks for."""
    wanted = _Filter(filters, True)
    before = wanted._before
    return [
        one
        for one in objects(engine)
        if wanted.matches(one) and (not before or one.used_ns < before)
    ]


def age(one: CacheObject) -> float:
    """Seconds since its last use."""
    return max(0.0, (time.time_ns() - one.used_ns) / 1e9)
