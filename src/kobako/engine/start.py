"""Starting containers, attached and detached, and what --rm means."""

from __future__ import annotations

import os
import sys

from kobako.errors import Conflict, KobakoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine
    from kobako.runtime.bundle import Stdio
    from kobako.runtime.container import Container as Started


def start(engine: Engine, name: str, *, remove_if_it_fails: bool = False) -> None:
    """Start a container in the background; a running one is left as it is."""
    from kobako.engine import containers
    from kobako.runtime.bundle import Stdio

    container = containers.find(engine, name)
    if container.running:
        return
    io = Stdio(hold_stdin=bool(container.config["OpenStdin"]))
    _launch(engine, container, io, detach=True, remove_if_it_fails=remove_if_it_fails)


def attach_and_wait(
    engine: Engine,
    name: str,
    io: Stdio,
    *,
    forward_signals: bool,
    remove_if_it_fails: bool = False,
) -> int:
    """Start a container joined to the caller's streams; its exit code when it ends."""
    from kobako.engine import containers

    container = containers.find(engine, name)
    if container.running:
        raise Conflict(
            f"Container {container.name} is already running",
            hint=f"Use `kobako exec` to run something in it, or `kobako logs -f {container.name}`.",
        )
    started = _launch(engine, container, io, detach=False, remove_if_it_fails=remove_if_it_fails)
    code = started.wait(forward_signals=forward_signals)
    if container.auto_remove:
        containers.discard(engine, container.id)
    return code


def _launch(
    engine: Engine,
    container: Container,
    io: Stdio,
    *,
    detach: bool,
    remove_if_it_fails: bool,
) -> Started:
    from kobako.engine import bundles, containers
    from kobako.runtime.launch import start as launch

    on_exit: tuple[str, ...] = ()
    if container.auto_remove:
        on_exit = reaper(engine, container.id)
    try:
        return launch(
            bundles.bundle(engine, container),
            state_dir=container.state_dir,
            io=io,
            detach=detach,
            intercept=bundles.interception(engine, container),
            on_exit=on_exit,
        )
    except KobakoError:
        if remove_if_it_fails:
            containers.discard(engine, container.id)
        raise


def reaper(engine: Engine, container_id: str) -> tuple[str, ...]:
    """The command that removes a container made with --rm once nobody watches it any more."""
    return (
        sys.executable or os.path.realpath("/proc/self/exe"),
        "-m",
        "kobako",
        "--root",
        engine.settings.root,
        "__reap",
        container_id,
    )
