"""prune: containers, images and build cache nobody uses."""

from __future__ import annotations

from contextlib import contextmanager

from kobako.engine import recording
from kobako.errors import Invalid
from kobako.store import reserve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.engine.build.cache_usage import Bounds
    from kobako.engine.engine import Engine


class Report:
    """What was removed, by id or name, and how many bytes that freed."""

    def __init__(self) -> None:
        self.containers: list[str] = []
        self.images: list[str] = []
        self.cache: list[str] = []
        self.reclaimed = 0


def containers(engine: Engine, filters: dict[str, list[str]]) -> Report:
    """Remove stopped containers."""
    report = Report()
    with _room_to_write(engine):
        _containers(engine, filters, report)
    recording.pruned(engine, ["container"], report.reclaimed)
    return report


def images(engine: Engine, *, everything: bool, filters: dict[str, list[str]]) -> Report:
    """Remove images no container uses: those without a name or, with `everything`, all."""
    report = Report()
    with _room_to_write(engine):
        _images(engine, everything, filters, report)
        _sweep(engine, report)
    recording.pruned(engine, ["image"], report.reclaimed)
    return report


def build_cache(
    engine: Engine,
    *,
    everything: bool = False,
    filters: dict[str, list[str]] | None = None,
    bounds: Bounds | None = None,
) -> Report:
    """Forget results of builds: see `cache_usage.prune`."""
    from kobako.engine.build import cache_usage

    report = Report()
    with _room_to_write(engine):
        cache_usage.prune(engine, report, everything=everything, filters=filters, bounds=bounds)
        _sweep(engine, report)
    recording.pruned(engine, ["builder"], report.reclaimed)
    return report


def system(engine: Engine, *, everything: bool, filters: dict[str, list[str]]) -> Report:
    """All of the above in one."""
    report = Report()
    with _room_to_write(engine):
        _containers(engine, filters, report)
        _images(engine, everything, filters, report)
        if not filters:
            from kobako.engine.build import cache_usage

            cache_usage.prune(engine, report, everything=everything)
        _sweep(engine, report)
    recording.pruned(engine, ["container", "network", "image", "builder"], report.reclaimed)
    return report


@contextmanager
def _room_to_write(engine: Engine) -> Iterator[None]:
    """On a full disk, too, what is forgotten has to be written down."""
    root = engine.settings.root
    reserve.spend(root)
    try:
        yield
    finally:
        reserve.lay_up(root)


def _containers(engine: Engine, filters: dict[str, list[str]], report: Report) -> None:
    from kobako.engine import container_removal, containers

    before = _until(filters)
    for container in containers.select(engine, everything=True, filters={}):
        if container.active or (before and container.created_ns >= before):
            continue
        if not _labelled(container.labels, filters):
            continue
        report.reclaimed += engine.driver.usage(container.directory)
        container_removal.discard(engine, container.id)
        report.containers.append(container.id)


def _images(
    engine: Engine, everything: bool, filters: dict[str, list[str]], report: Report
) -> None:
    from kobako.engine.images import LocalImage, config
    from kobako.oci import Reference

    db = engine.store.db
    before = _until(filters)
    if "dangling" in filters:
        everything = filters["dangling"][-1] in ("false", "0")
    used = {row.image_id for row in db.containers.list()}
    for row in db.images.list():
        names = db.refs.of_image(row.id)
        if row.id in used or (names and not everything):
            continue
        if before and row.created_ns >= before:
            continue
        if "label" in filters or "label!" in filters:
            labels = config(engine, LocalImage(row, row.manifest)).config.get("Labels") or {}
            if not _labelled(labels, filters):
                continue
        with db.transaction():  # unless it got a name or a user meanwhile
            if list(db.refs.of_image(row.id)) != list(names):
                continue
            db.images.delete(row.id)
        told = [*(("untag", row.id, row.id) for _ in names), ("delete", row.id, row.id)]
        recording.images(engine, *told, labels={})
        report.images += [f"untagged: {Reference.parse(n.name).familiar()}" for n in names]
        report.images.append(f"deleted: {row.id}")


def _sweep(engine: Engine, report: Report) -> None:
    """Without grace: what a running operation needs, its lease keeps."""
    from kobako.engine.sweep import sweep

    report.reclaimed += sweep(engine, grace_seconds=0).freed


def _until(filters: dict[str, list[str]]) -> int:
    """The moment (ns) things must be older than, 0 without. `Invalid` for filters not known."""
    from kobako.engine import moments

    for name in filters:
        if name not in ("until", "label", "label!", "dangling"):
            raise Invalid(f"invalid filter '{name}'", hint="Known: until, label, label!, dangling")
    return moments.bound(filters["until"][-1]) if "until" in filters else 0


def _labelled(labels: dict[str, str], filters: dict[str, list[str]]) -> bool:
    from kobako.engine.labels import match

    return all(match(labels, word) for word in filters.get("label", ())) and not any(
        match(labels, word) for word in filters.get("label!", ())
    )
