"""Removing containers."""

from __future__ import annotations

import os

from kobako.errors import Conflict, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kobako.engine.engine import Engine
    from kobako.store.containers import ContainerRow


def remove(engine: Engine, name: str, *, force: bool = False, volumes: bool = False) -> None:
    """Delete a container and its writable layer; a running one only with `force`. With `volumes`
    those that were made for it alone go too."""
    from kobako.engine import container_control, containers
    from kobako.store import reserve

    reserve.spend(engine.settings.root)
    container = containers.find(engine, name)
    if container.active:
        if not force:
            state = container.state.status
            raise Conflict(
                f'cannot remove container "/{container.name}": container is {state}: '
                "stop the container before removing or force remove"
            )
        container_control.end(engine, container)
    discard(engine, container.id, volumes=volumes)


def end_all(engine: Engine, names: Sequence[str]) -> None:
    """Ends those of several that run, before they are removed with `force`: the first removal
    enters a user namespace, and from there what runs in others cannot be signalled."""
    from kobako.engine import container_control, containers

    for name in names:
        try:
            container = containers.find(engine, name)
        except NotFound:
            continue  # its removal says so
        if container.active:
            container_control.end(engine, container)


def runs(engine: Engine, container_id: str) -> bool:
    """Whether the container of this id runs."""
    from kobako.runtime.state import state

    directory = engine.container_dir(container_id)
    return state(os.path.join(directory, "state")).status in ("running", "paused")


def _record(engine: Engine, row: ContainerRow) -> None:
    """Of several who remove a container at once one tells of it."""
    from kobako.fastjson import restore
    from kobako.store import event_log

    about = event_log.of_container(row.id, row.name, row.image_ref, restore(row.spec))
    event_log.append(engine.settings.root, event_log.line("container", "destroy", about))


def discard(
    engine: Engine,
    container_id: str,
    *,
    held: int | None = None,
    forgotten: Callable[[], None] = lambda: None,
    volumes: bool = False,
) -> None:
    """Delete the record and the directory of a container that does not run; idempotent.

    The record goes first: a crash in between leaves a directory without one, which gc removes.
    `forgotten` is called in between; `held` is the directory's claim when the caller has it
    already. `volumes`: those made for it alone are deleted too.
    """
    from kobako.linux import claim
    from kobako.snapshot.driver import remove_tree

    engine.enter()  # enters: only there may what the container made be removed
    row = engine.store.db.containers.delete(container_id)
    if row is not None:
        _record(engine, row)
    forgotten()
    directory = engine.container_dir(container_id)
    own = claim.take(directory, wait=True) if held is None else held
    if own is None:
        return  # it is gone
    try:
        if row is None or b'"Limited"' in row.spec:
            from kobako.engine import limits

            limits.clear(directory)
        remove_tree(directory)
        if volumes and row is not None and b'"Driver":"local"' in row.spec:
            from kobako.engine import volume_store

            volume_store.remove_anonymous(engine, row.spec)
    finally:
        if held is None:
            os.close(own)
