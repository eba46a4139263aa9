"""update: other limits, or another restart policy, for a container that is there already."""

from __future__ import annotations

import os

from kobako.errors import Conflict, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine


def update(
    engine: Engine, name: str, limits: dict[str, Any], policy: dict[str, Any] | None
) -> list[tuple[str, str]]:
    """Change what HostConfig says of limits, and the RestartPolicy unless that is None, now and for
    later starts; (flag, why) of what cannot be enforced.

    Nothing is changed where docker refuses it (`Invalid`, `Conflict`) or the kernel does. A policy
    for a container that runs without one counts from its next start on.
    """
    from kobako.engine import containers, recording
    from kobako.linux import claim

    container = containers.find(engine, name)
    held = claim.take(container.directory, wait=True)
    try:
        if held is None:
            raise NotFound(f"No such container: {name}")
        container = containers.find(engine, container.id)
        host = _changed(container, limits, policy)
        unmet = _apply(container, host) if limits else []
        document = {**container.document, "HostConfig": host}
        if limits:
            document["Limited"] = True
        from kobako import fastjson

        engine.store.db.containers.update(container.id, fastjson.dumps(document))
    finally:
        if held is not None:
            os.close(held)
    recording.container(engine, container, "update")
    return unmet


def _changed(
    container: Container, changes: dict[str, Any], policy: dict[str, Any] | None
) -> dict[str, Any]:
    """The HostConfig it is to have."""
    from kobako.engine import limits

    old = container.document["HostConfig"]
    refusal = f"Cannot update container {container.id}: "
    if policy is not None and policy["Name"] != "no" and container.auto_remove:
        raise Conflict(
            "Restart policy cannot be updated because AutoRemove is enabled for the container"
        )
    for key, flag in (("CpuPeriod", "CPU Period"), ("CpuQuota", "CPU Quota")):
        if changes.get("NanoCpus") and old.get(key):
            raise Conflict(
                f"{refusal}Conflicting options: Nano CPUs cannot be updated as {flag} has "
                "already been set"
            )
        if changes.get(key) and old.get("NanoCpus"):
            raise Conflict(
                f"{refusal}Conflicting options: {flag} cannot be updated as NanoCPUs has "
                "already been set"
            )
    swap = old.get("MemorySwap", 0)
    if changes.get("Memory", 0) > swap > 0 and not changes.get("MemorySwap"):
        raise Conflict(
            f"{refusal}Memory limit should be smaller than already set memoryswap limit, update "
            "the memoryswap at the same time"
        )
    host = {**old, **changes}
    limits.check(host)
    if policy is not None:
        host["RestartPolicy"] = policy
    return host


def _apply(container: Container, host: dict[str, Any]) -> list[tuple[str, str]]:
    """Give the limits to the container's cgroup, where it runs, and to its document."""
    from kobako import fastjson
    from kobako.engine import limits
    from kobako.runtime import cgroup_confine, control

    wanted = limits.resources(host, changed=True)
    path = limits.path(host.get("CgroupParent", ""), container.id)
    file = os.path.join(container.directory, "config.json")
    with open(file, "rb") as now:
        spec = fastjson.restore(now.read())
    if container.running:
        missing = cgroup_confine.change(
            container.state_dir, wanted, path, lambda: control.processes(container.state.pid)
        )
        unmet = limits.flags(missing, host)
    else:
        unmet = limits.unmet(host, host.get("CgroupParent", ""))
    kept = {k: v for k, v in (spec["linux"].get("resources") or {}).items() if k == "devices"}
    spec["linux"]["resources"] = {**kept, **wanted}
    spec["linux"]["cgroupsPath"] = path
    with open(file + ".new", "wb") as new:
        new.write(fastjson.dumps(spec))
    os.rename(file + ".new", file)
    return unmet
