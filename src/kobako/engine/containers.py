"""Containers of the store: finding and listing them."""

from __future__ import annotations

import os

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.engine.engine import Engine
    from kobako.runtime.state import State
    from kobako.store.containers import ContainerRow


class Container(Record):
    """A container as it is now. `document` has docker's Config and HostConfig."""

    id: str
    name: str
    image_id: str
    image_ref: str
    created_ns: int
    document: dict[str, Any]
    state: State
    directory: str

    @property
    def command(self) -> str:
        """The command line as docker joins it for an image's history."""
        words: list[str] = [self.document["Path"], *self.document["Args"]]
        return " ".join(words)

    @property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["Config"]
        return found

    @property
    def labels(self) -> dict[str, str]:
        found: dict[str, str] = self.config["Labels"]
        return found

    @property
    def tty(self) -> bool:
        return bool(self.config["Tty"])

    @property
    def network(self) -> str:
        return str(self.document["HostConfig"]["NetworkMode"])

    @property
    def mounts(self) -> list[str]:
        return [m.get("Name") or m["Source"] or m["Destination"] for m in self.document["Mounts"]]

    @property
    def running(self) -> bool:
        return self.state.status in ("running", "paused")

    @property
    def active(self) -> bool:
        """Whether docker calls it running: also between an end and the restart."""
        return self.running or self.state.status == "restarting"

    @property
    def state_dir(self) -> str:
        return os.path.join(self.directory, "state")

    @property
    def auto_remove(self) -> bool:
        return bool(self.document["HostConfig"]["AutoRemove"])


def find(engine: Engine, name: str) -> Container:
    """A container by id, unambiguous beginning of an id, or name; docker's words when there is
    none."""
    return _container(engine, engine.store.db.containers.find(name))


def _container(engine: Engine, row: ContainerRow) -> Container:
    from kobako.fastjson import restore
    from kobako.runtime.state import state

    directory = engine.container_dir(row.id)
    state_dir = os.path.join(directory, "state")
    document, now = restore(row.spec), state(state_dir)
    if "RestartPolicy" in document["HostConfig"]:
        from kobako.engine import restarting

        policy = restarting.of(document)
        if policy is not None:
            now = restarting.look(row.id, policy, state_dir, now)
    return Container(
        id=row.id,
        name=row.name,
        image_id=str(row.image_id),
        image_ref=row.image_ref,
        created_ns=row.created_ns,
        document=document,
        state=now,
        directory=directory,
    )


def select(
    engine: Engine,
    *,
    everything: bool,
    filters: dict[str, list[str]],
    last: int = 0,
) -> list[Container]:
    """What `ps` shows, newest first. A `status` or `exited` filter implies all containers."""
    if filters:
        from kobako.engine import container_filters

        container_filters.check(filters)
    found = [_container(engine, row) for row in engine.store.db.containers.list()]
    found.sort(key=lambda c: -c.created_ns)
    if not (everything or "status" in filters or "exited" in filters):
        found = [c for c in found if c.active]
    for name, values in filters.items():
        found = [c for c in found if container_filters.passes(engine, c, name, values)]
    return found[:last] if last else found
