"""Volumes: directories of the data root that outlive the containers which mount them."""

from __future__ import annotations

import os

from kobako import fastjson
from kobako.engine import labels
from kobako.engine.moments import rfc3339
from kobako.engine.volumes import check_name, is_anonymous, named
from kobako.errors import Conflict, Invalid, NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from kobako.engine.engine import Engine

_FILTERS = ("dangling", "driver", "label", "name")
_LABELS = "labels"
"""A file beside the data, of volumes that have some: a JSON object."""


class Volume(Record):
    """A volume; `users` are the ids of the containers that mount it, `labels` are pairs."""

    name: str
    path: str
    created_ns: int
    users: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    def document(self) -> dict[str, Any]:
        """docker's, as `volume inspect` shows it."""
        return {
            "CreatedAt": rfc3339(self.created_ns - self.created_ns % 1_000_000_000),
            "Driver": "local",
            "Labels": dict(self.labels) or None,
            "Mountpoint": self.path,
            "Name": self.name,
            "Options": None,
            "Scope": "local",
        }


def select(engine: Engine, filters: dict[str, list[str]]) -> list[Volume]:
    """The volumes that pass, by name."""
    for name in filters:
        if name not in _FILTERS:
            raise Invalid(f"invalid filter '{name}'", hint=f"Known: {', '.join(_FILTERS)}.")
    base = engine.volumes_dir
    used = _users(engine)
    names = sorted(os.listdir(base)) if os.path.isdir(base) else []
    found = [_volume(base, n, used) for n in names if os.path.isdir(f"{base}/{n}/_data")]
    for value in filters.get("dangling", ()):
        if value not in ("true", "1", "false", "0"):
            raise Invalid(f"invalid filter 'dangling={value}'", hint="true or false")
        found = [v for v in found if (not v.users) == (value in ("true", "1"))]
    if "name" in filters:
        found = [v for v in found if any(part in v.name for part in filters["name"])]
    for value in filters.get("label", ()):
        found = [v for v in found if labels.match(dict(v.labels), value)]
    if "driver" in filters and "local" not in filters["driver"]:
        return []
    return found


def find(engine: Engine, name: str) -> Volume:
    """`NotFound` when there is none of this name."""
    base = engine.volumes_dir
    if not name or "/" in name or not os.path.isdir(f"{base}/{name}/_data"):
        raise NotFound(f"get {name}: no such volume")
    return _volume(base, name, _users(engine))


def create(engine: Engine, name: str, given: Sequence[tuple[str, str]] = ()) -> str:
    """Makes a volume with labels, of a new name if none is given; one that is there already is left
    alone."""
    from kobako.engine.names import random_id

    name = name or random_id()
    check_name(name)
    directory = os.path.join(engine.volumes_dir, name)
    if given and not os.path.isdir(f"{directory}/_data"):
        os.makedirs(directory, exist_ok=True)
        partial = f"{directory}/{_LABELS}.{os.getpid()}"
        with open(partial, "wb") as file:
            file.write(fastjson.dumps(dict(given)))
        os.rename(partial, f"{directory}/{_LABELS}")
    named(name, engine.volumes_dir)
    return name


def remove(engine: Engine, name: str, *, force: bool = False) -> None:
    """Deletes a volume and its content; `Conflict` while a container mounts it. With `force` one
    that is not there is no error."""
    try:
        volume = find(engine, name)
    except NotFound:
        if force:
            return
        raise
    if volume.users:
        raise Conflict(f"remove {name}: volume is in use - [{', '.join(volume.users)}]")
    _delete(engine, name)


def prune(
    engine: Engine,
    *,
    everything: bool,
    having: Sequence[str] = (),
    lacking: Sequence[str] = (),
) -> tuple[list[str], int]:
    """Deletes the anonymous volumes nobody mounts, with `everything` the named ones too: (names,
    bytes). They are those with all labels of `having` and none of `lacking`."""
    from kobako.engine import recording

    gone, size = [], 0
    for volume in select(engine, {"dangling": ["true"], "label": list(having)}):
        spared = any(labels.match(dict(volume.labels), word) for word in lacking)
        if not spared and (everything or is_anonymous(volume.name)):
            size += usage(engine, volume)
            _delete(engine, volume.name)
            gone.append(volume.name)
    recording.pruned(engine, ["volume"], size)
    return gone, size


def usage(engine: Engine, volume: Volume) -> int:
    """Bytes of the files in a volume."""
    from kobako.snapshot.usage import size_of_tree

    engine.try_enter()  # what other users of a container keep to themselves is counted too
    return size_of_tree(volume.path)


def remove_anonymous(engine: Engine, spec: bytes) -> None:
    """Deletes the volumes made for a container alone that no other container mounts. `spec` is
    what the container's row had."""
    mounts = fastjson.restore(spec)["Mounts"]
    names = [m["Name"] for m in mounts if is_anonymous(m.get("Name", ""))]
    used = _users(engine) if names else {}
    for name in names:
        if name not in used:
            _delete(engine, name)


def _delete(engine: Engine, name: str) -> None:
    from kobako.engine import recording
    from kobako.snapshot.driver import remove_tree

    engine.try_enter()
    remove_tree(os.path.join(engine.volumes_dir, name))
    recording.volumes(engine.settings.root, "destroy", [name])


def _volume(base: str, name: str, used: dict[str, list[str]]) -> Volume:
    path = f"{base}/{name}/_data"
    # The directory above is not the container's: its time is that of the volume's making.
    made = os.stat(f"{base}/{name}").st_mtime_ns
    return Volume(name, path, made, tuple(used.get(name, ())), _labels(f"{base}/{name}"))


def _labels(directory: str) -> tuple[tuple[str, str], ...]:
    try:
        with open(f"{directory}/{_LABELS}", "rb") as file:
            return tuple(fastjson.restore(file.read()).items())
    except FileNotFoundError:
        return ()


def _users(engine: Engine) -> dict[str, list[str]]:
    """Name of a volume -> ids of the containers that mount it."""
    found: dict[str, list[str]] = {}
    for row in engine.store.db.containers.list():
        if b'"Driver":"local"' in row.spec:
            for mount in fastjson.restore(row.spec)["Mounts"]:
                if mount.get("Name"):
                    found.setdefault(mount["Name"], []).append(row.id)
    return found
