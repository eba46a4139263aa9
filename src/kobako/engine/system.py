"""The installation as a whole: info, fsck, reset."""

from __future__ import annotations

import os

from kobako.errors import Unsupported
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.engine.engine import Engine


class Finding(Record):
    """One thing fsck saw. `broken`: something is wrong and was not repaired."""

    severity: str
    message: str
    broken: bool


def info(engine: Engine) -> dict[str, Any]:
    """docker's `info`, and which privilege mode is in use and why no better one."""
    from kobako import __version__
    from kobako.engine import containers, privilege

    why = privilege.reasons(engine.settings.mode)
    found = containers.select(engine, everything=True, filters={})
    states = [c.state.status for c in found]
    system = os.uname()
    try:
        mode, driver = f"{engine.mode.letter} ({engine.mode.name})", engine.driver.name
    except Unsupported:
        mode = driver = "none"
    return {
        "ID": "",
        "Containers": len(found),
        "ContainersRunning": sum(c.active and c.state.status != "paused" for c in found),
        "ContainersPaused": states.count("paused"),
        "ContainersStopped": sum(not c.active for c in found),
        "Images": len(engine.store.db.images.list()),
        "Driver": driver,
        "Mode": mode,
        "ModesNotUsed": why,
        "ServerVersion": __version__,
        "KernelVersion": system.release,
        "OperatingSystem": _os_name(),
        "OSType": "linux",
        "Architecture": system.machine,
        "NCPU": os.cpu_count(),
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "Name": system.nodename,
        "DockerRootDir": engine.settings.root,
        "ConfigPath": engine.settings.config_path,
        "Mirrors": {r.domain: list(r.mirrors) for r in engine.config.registries if r.mirrors},
    }


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

    engine.enter()  # enters: trees of a user namespace are only readable inside
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

    for container in containers.select(engine, everything=True, filters={}):
        container_removal.remove(engine, container.id, force=True)
    engine.enter()  # enters, as above
    engine.store.close()
    remove_tree(engine.settings.root)
