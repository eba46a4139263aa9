"""The filters of `ps`."""

from __future__ import annotations

from kobako.errors import Invalid, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine

STATUSES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
_FILTERS = (
    "ancestor before exited expose health id is-task label name network publish since status volume"
)
_HEALTH = ("starting", "healthy", "unhealthy", "none")


def check(filters: dict[str, list[str]]) -> None:
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


def passes(engine: Engine, container: Container, name: str, values: list[str]) -> bool:
    """Whether `ps` shows the container, as far as one filter goes."""
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
        other = engine.store.db.containers.find(values[-1]).created_ns
        older = container.created_ns < other
        return older if name == "before" else container.created_ns > other
    if name == "health":
        return _health(container) in values
    return _passes_unmet(container, name, values)


def _health(container: Container) -> str:
    if not container.config.get("Healthcheck"):
        return "none"
    from kobako.engine import health

    known = health.shown(container)
    return known.status if known else "none"


def _passes_unmet(container: Container, name: str, values: list[str]) -> bool:
    """Filters for what no container has: published ports, tasks."""
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
