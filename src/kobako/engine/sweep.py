"""Removing what nothing refers to any more."""

from __future__ import annotations

import os

from kobako.engine.scratch import KEPT, place
from kobako.errors import KobakoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine
    from kobako.store.collect import GcReport


def sweep(engine: Engine, *, grace_seconds: float | None = None) -> GcReport:
    """Collect the store's garbage: blobs, unpacked layers, what killed processes left.

    What was written less than `grace_seconds` ago stays (the store's own default when None).
    """
    from kobako.store.collect import GRACE_SECONDS, gc

    engine.try_enter()  # so that trees of a user namespace can be removed
    _abandoned_scratch(engine)
    _orphaned_containers(engine)
    grace = GRACE_SECONDS if grace_seconds is None else grace_seconds
    return gc(engine.store, grace_seconds=grace)


def leftovers(engine: Engine) -> None:
    """Take away what killed builds left under way, so that it does not wait for a prune.

    Costs next to nothing where there is none. What a shell is still to look at stays, and so does
    what cannot be removed: a prune tells why.
    """
    from kobako.linux import claim

    root = engine.settings.root
    for path, fd in claim.abandoned(place(root)):
        try:
            if not os.path.exists(os.path.join(path, KEPT)):
                from kobako.snapshot.driver import remove_tree

                engine.enter()
                remove_tree(path)
        except (KobakoError, OSError):
            pass
        finally:
            os.close(fd)
    _dead_writes(engine)


def _dead_writes(engine: Engine) -> None:
    """Files of processes that are no more, their leases among them."""
    directory = engine.store.ingest_dir
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if not os.path.isdir(path):  # trees on their way out are a collection's
            from kobako.store import ingest

            try:
                ingest.remove_if_dead(path)
            except OSError:
                pass


def _abandoned_scratch(engine: Engine) -> None:
    from kobako.linux import claim
    from kobako.snapshot.driver import remove_tree

    for path, fd in claim.abandoned(place(engine.settings.root)):
        try:
            remove_tree(path)
        finally:
            os.close(fd)


def _orphaned_containers(engine: Engine) -> None:
    """Directories of containers that have no record: a create or rm that was killed.

    Who creates holds the directory until the record is there; so they are read after the claims.
    """
    from kobako.linux import claim
    from kobako.snapshot.driver import remove_tree

    claimed = claim.abandoned(os.path.join(engine.settings.root, "containers"))
    known = engine.store.db.containers.ids()
    for path, fd in claimed:
        if os.path.basename(path) in known:
            os.close(fd)
    for path, fd in claimed:
        if os.path.basename(path) not in known:
            from kobako.engine import limits

            limits.clear(path)
            try:
                remove_tree(path)
            finally:
                os.close(fd)
