"""Containers of the store: finding, listing, stopping, removing."""

from __future__ import annotations

import os

from kobako.errors import Conflict, Invalid, NotFound, Unsupported
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from kobako.engine.engine import Engine
    from kobako.runtime.log import LogLine
    from kobako.runtime.state import State
    from kobako.store.rows import ContainerRow

STOP_SECONDS = 10


STATUSES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")


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
    from kobako.fastjson import loads
    from kobako.runtime.state import state

    directory = engine.container_dir(row.id)
    return Container(
        id=row.id,
        name=row.name,
        image_id=str(row.image_id),
        image_ref=row.image_ref,
        created_ns=row.created_ns,
        document=loads(row.spec),
        state=state(os.path.join(directory, "state")),
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
        _check_filters(filters)
    found = [_container(engine, row) for row in engine.store.db.containers.list()]
    found.sort(key=lambda c: -c.created_ns)
    if not (everything or "status" in filters or "exited" in filters):
        found = [c for c in found if c.running]
    for name, values in filters.items():
        found = [c for c in found if _passes(engine, c, name, values)]
    return found[:last] if last else found


_FILTERS = (
    "ancestor before exited expose health id is-task label name network publish since status volume"
)


def _check_filters(filters: dict[str, list[str]]) -> None:
    """`Invalid` names the first filter, or value of one, there is not."""
    for name, values in filters.items():
        if name not in _FILTERS.split():
            raise Invalid(f"invalid filter '{name}'", hint="Known: " + ", ".join(_FILTERS.split()))
        known = {"status": STATUSES, "health": _HEALTH}.get(name)
        for value in values:
            if known and value not in known:
                raise Invalid(f"invalid filter '{name}={value}'", hint="Known: " + ", ".join(known))
            if name == "exited" and not value.lstrip("+-").isdigit():
                raise Invalid(f"invalid filter 'exited={value}'", hint="Use an exit code.")


def _passes(engine: Engine, container: Container, name: str, values: list[str]) -> bool:
    if name == "id":
        return any(container.id.startswith(v) for v in values)
    if name == "name":
        return any(_name_matches(container.name, v) for v in values)
    if name == "status":
        return container.state.status in values
    if name == "exited":
        return container.state.status == "exited" and str(container.state.exit_code) in values
    if name == "label":
        from kobako.engine import labels

        return all(labels.match(container.labels, v) for v in values)
    if name == "ancestor":
        return any(_is_ancestor(engine, container, v) for v in values)
    if name == "network":
        return container.network in values
    if name == "volume":
        places = {m.get("Name") or m["Source"] for m in container.document["Mounts"]}
        places |= {m["Destination"] for m in container.document["Mounts"]}
        return any(v in places for v in values)
    if name in ("before", "since"):
        other = find(engine, values[-1]).created_ns
        older = container.created_ns < other
        return older if name == "before" else container.created_ns > other
    return _passes_unmet(container, name, values)


_HEALTH = ("starting", "healthy", "unhealthy", "none")


def _passes_unmet(container: Container, name: str, values: list[str]) -> bool:
    """Filters for what no container has: health, published ports, tasks."""
    if name == "health":
        return "none" in values
    if name == "is-task":
        return values[-1].lower() in ("false", "0")
    if name == "publish":
        return False
    if name == "expose":
        ports = container.config.get("ExposedPorts") or {}
        return any((v if "/" in v else f"{v}/tcp") in ports for v in values)
    raise AssertionError(name)


def _name_matches(name: str, pattern: str) -> bool:
    import re

    try:
        return re.search(pattern, name) is not None or re.search(pattern, "/" + name) is not None
    except re.error:
        return pattern in name


def _is_ancestor(engine: Engine, container: Container, name: str) -> bool:
    from kobako.engine import images

    try:
        wanted = images.find(engine, name)
    except NotFound:
        return container.image_ref == name
    if container.image_id == wanted.id:
        return True
    row = engine.store.db.images.get(container.image_id)
    depth = len(wanted.row.diff_ids)
    return row is not None and row.diff_ids[:depth] == wanted.row.diff_ids


def kill(engine: Engine, name: str, signal: str = "KILL") -> None:
    """Send a signal by name or number; `Conflict` when the container does not run.

    After SIGKILL the container has ended when this returns, as docker has it.
    """
    from kobako.runtime import state as control

    container = find(engine, name)
    number = signal_number(signal)
    if not container.running:
        raise Conflict(f"Cannot kill container: {name}: Container {container.id} is not running")
    control.kill(container.state_dir, number)
    if number == 9:
        _kill_surely(container.state_dir)


def stop(
    engine: Engine,
    name: str,
    *,
    timeout: int | None = None,
    signal: str = "",
) -> None:
    """Ask the container to end, and kill it after `timeout` seconds (-1: never)."""
    from kobako.runtime import state as control

    container = find(engine, name)
    if not container.running:
        return
    number = signal_number(signal or container.config.get("StopSignal") or "TERM")
    seconds = container.config.get("StopTimeout", STOP_SECONDS) if timeout is None else timeout
    if container.state.status == "paused":
        control.resume(container.state_dir)
    if not _ended_within(container.state_dir, number, seconds):
        _kill_surely(container.state_dir)


def wait(engine: Engine, name: str) -> int:
    """Block until the container has ended; its exit code."""
    from kobako.runtime import state as control

    container = find(engine, name)
    if not container.running:
        return container.state.exit_code
    return control.wait(container.state_dir)


def _ended_within(state_dir: str, signal: int, seconds: float) -> bool:
    """Send a signal and wait; whether the container has ended. Negative: however long it takes."""
    import select

    from kobako.runtime import state as control

    try:
        pidfd = control.open_process(state_dir)
    except Conflict:
        return True
    try:
        control.kill(state_dir, signal)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(None if seconds < 0 else seconds * 1000):
            return False
    except Conflict:
        pass
    finally:
        os.close(pidfd)
    control.wait(state_dir)
    return True


def _kill_surely(state_dir: str) -> None:
    """SIGKILL, and wait for the end; no fault when it had ended already."""
    from kobako.runtime import state as control

    try:
        control.kill(state_dir, 9)
    except Conflict:
        pass
    control.wait(state_dir)


def pause(engine: Engine, name: str) -> None:
    from kobako.runtime import state as control

    container = find(engine, name)
    if container.state.status == "paused":
        raise Conflict(f"Container {container.id} is already paused")
    if not container.running:
        raise Conflict(f"Container {container.id} is not running")
    control.pause(container.state_dir)


def unpause(engine: Engine, name: str) -> None:
    from kobako.runtime import state as control

    container = find(engine, name)
    if container.state.status != "paused":
        raise Conflict(f"Container {container.id} is not paused")
    control.resume(container.state_dir)


def rename(engine: Engine, name: str, new_name: str) -> None:
    """Give a container another name; `Conflict` when it is taken."""
    from kobako.engine import names

    if not new_name:
        raise Invalid("Neither old nor new names may be empty")
    names.check(new_name)
    container = find(engine, name)
    if container.name == new_name.removeprefix("/"):
        raise Conflict("Renaming a container with the same name as its current name")
    engine.store.db.containers.rename(container.id, new_name.removeprefix("/"))


def remove(engine: Engine, name: str, *, force: bool = False, volumes: bool = False) -> None:
    """Delete a container and its writable layer; a running one only with `force`. With `volumes`
    those that were made for it alone go too."""
    from kobako.store import reserve

    reserve.spend(engine.settings.root)
    container = find(engine, name)
    if container.running:
        if not force:
            state = container.state.status
            raise Conflict(
                f'cannot remove container "/{container.name}": container is {state}: '
                "stop the container before removing or force remove"
            )
        _kill_surely(container.state_dir)
    discard(engine, container.id, volumes=volumes)


def runs(engine: Engine, container_id: str) -> bool:
    """Whether the container of this id runs."""
    from kobako.runtime.state import state

    directory = engine.container_dir(container_id)
    return state(os.path.join(directory, "state")).status in ("running", "paused")


def discard(
    engine: Engine,
    container_id: str,
    *,
    held: int | None = None,
    forgotten: Callable[[], None] = lambda: None,
    volumes: bool = False,
) -> None:
    """Delete the row and the directory of a container that does not run; idempotent.

    The row goes first: a crash in between leaves a directory without a row, which gc removes.
    `forgotten` is called in between; `held` is the directory's claim when the caller has it
    already. `volumes`: those made for it alone are deleted too.
    """
    from kobako.linux import claim
    from kobako.snapshot.driver import remove_tree

    engine.enter()  # enters: only there may what the container made be removed
    row = engine.store.db.containers.get(container_id) if volumes else None
    engine.store.db.containers.delete(container_id)
    forgotten()
    directory = engine.container_dir(container_id)
    own = claim.take(directory, wait=True) if held is None else held
    if own is None:
        return  # it is gone
    try:
        remove_tree(directory)
        if row is not None and b'"Driver":"local"' in row.spec:
            from kobako.engine import volume_store

            volume_store.remove_anonymous(engine, row.spec)
    finally:
        if held is None:
            os.close(own)


def logs(
    engine: Engine,
    name: str,
    *,
    follow: bool = False,
    tail: int | None = None,
    since_ns: int = 0,
    until_ns: int = 0,
) -> Iterator[LogLine]:
    """What the container has written, in order."""
    from kobako.runtime import log

    container = find(engine, name)
    if log_config(container)["Type"] == "none":
        raise Unsupported("configured logging driver does not support reading")
    return log.read(
        container.state_dir, follow=follow, tail=tail, since_ns=since_ns, until_ns=until_ns
    )


def log_config(container: Container) -> dict[str, Any]:
    """docker's LogConfig of a container: Type and Config."""
    found: dict[str, Any] = container.document["HostConfig"].get("LogConfig") or {}
    return {"Type": found.get("Type", "json-file"), "Config": found.get("Config") or {}}


def log_details(engine: Engine, name: str) -> str:
    """What `logs --details` shows before each line."""
    from kobako.engine import log_options

    container = find(engine, name)
    return log_options.details(container.config, log_config(container)["Config"])


def signal_number(name: str) -> int:
    """A signal's number from `9`, `KILL`, `sigterm` or `SIGRTMIN+3`."""
    import signal

    word = name.upper().removeprefix("SIG")
    if word.isdigit() and 0 < int(word) <= 64:
        return int(word)
    base, plus, offset = word.partition("+")
    found = getattr(signal, "SIG" + base, None)
    if isinstance(found, int) and (not plus or offset.isdigit()):
        return int(found) + (int(offset) if plus else 0)
    raise Invalid(f"Invalid signal: {name}")
