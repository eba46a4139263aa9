"""A container's file system seen from outside: diff and export."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine
    from kobako.layer.change import Change

_RUNTIME_PLACES = frozenset(("/dev", "/proc", "/sys"))


def diff(engine: Engine, name: str) -> list[Change]:
    """What the container has changed, in path order (kinds A, C and D)."""
    from kobako.engine import containers

    return changes(engine, containers.find(engine, name))


def changes(engine: Engine, container: Container) -> list[Change]:
    """The changes of a container's writable layer."""
    return packable(engine, container.directory, container.document["Lowers"])


def packable(
    engine: Engine, directory: str, lowers: Sequence[str], idle: list[str] | None = None
) -> list[Change]:
    """The changes of the writable layer at `directory`, without the places mounted over, which are
    added to what is `idle` there."""
    found = engine.driver.diff(directory, lowers, idle)
    if idle is not None:
        idle += [c.path for c in found if c.path in _RUNTIME_PLACES]
    return [c for c in found if c.path not in _RUNTIME_PLACES]


def export(engine: Engine, name: str, sink: BinaryIO) -> None:
    """The whole file system as an uncompressed tar, layers merged."""
    from kobako.engine import containers, recording
    from kobako.engine.scratch import Scratch
    from kobako.layer.export import export as write

    container = containers.find(engine, name)
    recording.container(engine, container, "export")
    lowers = [os.path.join(container.directory, "upper"), *container.document["Lowers"]]
    with Scratch(engine, lowers) as scratch:
        owners = engine.driver.owners(scratch.directory, lowers)
        fd = os.open(scratch.mount(readonly=True), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            write(fd, sink, engine.mode.format, owners)
        finally:
            os.close(fd)
