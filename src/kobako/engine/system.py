"""The installation as a whole: info, fsck, reset."""

from __future__ import annotations

import os
import time

from kobako.engine.moments import rfc3339
from kobako.errors import Unsupported
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.engine.engine import Engine


_ALWAYS: dict[str, Any] = {
    "ID": "",
    "DriverStatus": [],
    "LoggingDriver": "json-file",
    "Plugins": {
        "Volume": ["local"],
        "Network": ["host", "null"],
        "Authorization": None,
        "Log": ["json-file", "local", "none"],
    },
    "DefaultRuntime": "kobako",
    "Runtimes": {"kobako": {"path": "kobako"}},
    "Swarm": {"NodeID": "", "LocalNodeState": "inactive", "ControlAvailable": False},
    "LiveRestoreEnabled": True,
    "Debug": False,
    "ExperimentalBuild": False,
    "Isolation": "",
    "Labels": [],
    "Warnings": None,
    "IndexServerAddress": "https://index.docker.io/v1/",
    "OSType": "linux",
}
"""What `info` says wherever it is asked."""


class Finding(Record):
    """One thing fsck saw. `broken`: something is wrong and was not repaired."""

    severity: str
    message: str
    broken: bool


def info(engine: Engine) -> dict[str, Any]:
    """docker's `info`, and which privilege mode is in use and why no better one. What a daemon
    would say that there is not is left out."""
    from kobako import __version__
    from kobako.engine import containers, privilege

    why = privilege.reasons(engine.settings.mode)
    found = containers.select(engine, everything=True, filters={})
    states = [c.state.status for c in found]
    system = os.uname()
    security = ["name=seccomp,profile=builtin"]
    try:
        mode, driver = f"{engine.mode.letter} ({engine.mode.name})", engine.driver.name
        if engine.mode.name != "root":
            security.append("name=rootless")
    except Unsupported:
        mode = driver = "none"
    isolation = mode == "none" or engine.own_pids
    cgroups = _cgroup_version()
    return {
        **_ALWAYS,
        "Containers": len(found),
        "ContainersRunning": sum(c.active and c.state.status != "paused" for c in found),
        "ContainersPaused": states.count("paused"),
        "ContainersStopped": sum(not c.active for c in found),
        "Images": len(engine.store.db.images.list()),
        "Driver": driver,
        "CgroupDriver": "cgroupfs" if cgroups else "none",
        "CgroupVersion": cgroups,
        "SecurityOptions": security,
        "SystemTime": rfc3339(time.time_ns()),
        "Mode": mode,
        "ModesNotUsed": why,
        "ProcessIsolation": isolation,
        "ServerVersion": __version__,
        "KernelVersion": system.release,
        "OperatingSystem": _os_name(),
        "Architecture": system.machine,
        "NCPU": os.cpu_count(),
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "Name": system.nodename,
        "DockerRootDir": engine.settings.root,
        "ConfigPath": engine.settings.config_path,
        "Mirrors": {r.domain: list(r.mirrors) for r in engine.config.registries if r.mirrors},
    }


def _cgroup_version() -> str:
    """The version whose controllers can be had, "" for none."""
    from kobako.runtime import cgroup_hierarchies

    found = cgroup_hierarchies.of_this_process()
    old = any(h.version == 1 and "memory" in h.controllers for h in found)
    return "1" if old else "2" if any(h.version == 2 for h in found) else ""


def _os_name() -> str:
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                for line in file:
                    if line.startswith("PRETTY_NAME="):
                        return line.partition("=")[2].strip().strip('"')
        except OSError:
            continue
    return "Linux"


def fsck(engine: Engine, *, repair: bool = False) -> list[Finding]:
    """Check everything that is stored; with `repair`, remove what is broken."""
    from kobako.store.check import ERROR
    from kobako.store.check import fsck as check

    engine.try_enter()  # trees of a user namespace are only readable inside
    return [
        Finding(
            f.severity,
            f"{f.subject}: {f.message}" + (" (repaired)" if f.repaired else ""),
            f.severity == ERROR and not f.repaired,
        )
        for f in check(engine.store, repair)
    ]


def reset(engine: Engine) -> None:
    """Stop every container and delete the data root."""
    from kobako.engine import container_removal, containers
    from kobako.snapshot.driver import remove_tree

    found = containers.select(engine, everything=True, filters={})
    container_removal.end_all(engine, [container.id for container in found])
    for container in found:
        container_removal.remove(engine, container.id, force=True)
    engine.enter()  # enters, as above
    engine.store.close()
    remove_tree(engine.settings.root)
