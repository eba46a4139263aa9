"""Removing what nothing refers to any more."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine
    from kobako.store.collect import GcReport


def sweep(engine: Engine, *, grace_seconds: float | None = None) -> GcReport:
    """Collect the store's garbage: blobs, unpacked layers, what killed processes left.

    What was written less than `grace_seconds` ago stays (the store's own default when None).
    """
    from kobako.engine.scratch import leftovers
    from kobako.snapshot.driver import remove_tree
    from kobako.store.collect import GRACE_SECONDS, gc

    engine.mode  # noqa: B018 - enters, so that trees of a user namespace can be removed
    for path in leftovers(engine.settings.root):
        remove_tree(path)
    _orphaned_containers(engine)
    grace = GRACE_SECONDS if grace_seconds is None else grace_seconds
    return gc(engine.store, grace_seconds=grace)


def _orphaned_containers(engine: Engine) -> None:
    """Directories of containers that have no row: a create or rm that was killed."""
    import time

    from kobako.snapshot.driver import remove_tree

    known = {row.id for row in engine.store.db.containers.list()}
    base = os.path.join(engine.settings.root, "containers")
    for name in os.listdir(base) if os.path.isdir(base) else ():
        path = os.path.join(base, name)
        if name not in known and os.stat(path).st_mtime < time.time() - 60:
            remove_tree(path)
