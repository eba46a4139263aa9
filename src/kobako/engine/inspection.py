"""inspect: containers and images as docker's documents."""

from __future__ import annotations

import os

from kobako.engine import host_config
from kobako.engine.moments import rfc3339
from kobako.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine
    from kobako.engine.images import LocalImage

_NEVER = "0001-01-01T00:00:00Z"
_CONFIG: dict[str, Any] = {
    "User": "",
    "Env": [],
    "Cmd": None,
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}
"""What an image's config always shows: a template that asks for one must not fail."""


def inspect(engine: Engine, name: str, kind: str = "", *, size: bool = False) -> dict[str, Any]:
    """The document of a container or image; a container wins when both have the name."""
    from kobako.engine import containers, images

    if kind in ("", "container"):
        try:
            return _container(engine, containers.find(engine, name), size)
        except NotFound:
            if kind:
                raise
    try:
        return _image(engine, images.find(engine, name))
    except NotFound:
        if kind:
            raise
        raise NotFound(f"No such object: {name}") from None


def _container(engine: Engine, container: Container, size: bool) -> dict[str, Any]:
    state, document = container.state, container.document
    status = state.status
    driver = _driver(engine, document["Mode"])
    found: dict[str, Any] = {
        "Id": container.id,
        "Created": rfc3339(container.created_ns),
        "Path": document["Path"],
        "Args": document["Args"],
        "State": {
            "Status": status,
            "Running": container.active,
            "Paused": status == "paused",
            "Restarting": status == "restarting",
            "OOMKilled": state.oom,
            "Dead": False,
            "Pid": state.pid,
            "ExitCode": state.exit_code,
            "Error": state.error,
            "StartedAt": rfc3339(state.started_ns) if state.started_ns else _NEVER,
            "FinishedAt": rfc3339(state.finished_ns) if state.finished_ns else _NEVER,
        },
        "Image": container.image_id,
        "ResolvConfPath": os.path.join(container.directory, "resolv.conf"),
        "HostnamePath": os.path.join(container.directory, "hostname"),
        "HostsPath": os.path.join(container.directory, "hosts"),
        "LogPath": os.path.join(container.state_dir, "log"),
        "Name": "/" + container.name,
        "RestartCount": 0,
        "Driver": driver,
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": {**host_config.DEFAULTS, **document["HostConfig"]},
        "GraphDriver": {
            "Name": driver,
            "Data": {
                "UpperDir": os.path.join(container.directory, "upper"),
                "LowerDir": ":".join(document["Lowers"]),
            },
        },
        "Mounts": document["Mounts"],
        "Config": document["Config"],
        "NetworkSettings": {
            **host_config.NETWORK,
            "Networks": {container.network: dict(host_config.ENDPOINT)},
        },
    }
    if container.config.get("Healthcheck"):
        health = _health(container)
        if health is not None:
            found["State"]["Health"] = health
    if "RestartPolicy" in document["HostConfig"]:
        from kobako.engine import restarting

        found["RestartCount"] = restarting.past(container.state_dir).count
    if size:
        from kobako.engine import usage

        found["SizeRw"], found["SizeRootFs"] = usage.container(engine, container)
    return found


def _health(container: Container) -> dict[str, Any] | None:
    """docker's document of it, if the container has any."""
    from kobako.engine import health

    known = health.shown(container)
    if known is None:
        return None
    log = [
        {
            "Start": rfc3339(probe.start_ns),
            "End": rfc3339(probe.end_ns),
            "ExitCode": probe.exit_code,
            "Output": probe.output,
        }
        for probe in known.log
    ]
    return {"Status": known.status, "FailingStreak": known.streak, "Log": log}


def _driver(engine: Engine, mode: str = "") -> str:
    """What stacks the layers of containers made in a mode, or else in whichever was used here."""
    from kobako import snapshot
    from kobako.engine.privilege import MODES

    names = {
        snapshot.chosen(engine.settings.root, known.format)
        for known in MODES
        if mode in ("", known.name)
    }
    return "copy" if names - {""} == {"copy"} else "overlay"


def _image(engine: Engine, image: LocalImage) -> dict[str, Any]:
    from kobako.engine import images
    from kobako.oci import Reference

    config = images.config(engine, image)
    rows = engine.store.db.refs.of_image(image.id)
    names = [Reference.parse(row.name) for row in rows]
    digests = {f"{n.familiar_name}@{row.digest}" for n, row in zip(names, rows, strict=True)}
    return {
        "Id": str(image.id),
        "RepoTags": [n.familiar() for n in names if n.tag],
        "RepoDigests": sorted(digests),
        "Parent": image.row.parent,
        "Comment": config.data.get("comment", ""),
        "Created": config.created,
        "Author": config.author,
        "Config": {**_CONFIG, **config.config},
        "Architecture": config.platform.architecture,
        "Variant": config.platform.variant,
        "Os": config.platform.os,
        "DockerVersion": "",
        "Size": image.row.size,
        "VirtualSize": image.row.size,
        "GraphDriver": {"Name": _driver(engine), "Data": None},
        "Metadata": {"LastTagTime": _NEVER},
        "RootFS": {"Type": "layers", "Layers": [str(d) for d in config.diff_ids]},
        "Descriptor": images.manifest(engine, image).descriptor.to_json(),
    }
