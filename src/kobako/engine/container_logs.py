"""What containers have written."""

from __future__ import annotations

from kobako.engine import containers
from kobako.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine
    from kobako.runtime.log import LogLine


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

    container = containers.find(engine, name)
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

    container = containers.find(engine, name)
    return log_options.details(container.config, log_config(container)["Config"])
