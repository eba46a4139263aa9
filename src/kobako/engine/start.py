"""Starting containers, attached and detached, and what --rm means."""

from __future__ import annotations

import os
import sys

from kobako.errors import Conflict, KobakoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.engine.containers import Container
    from kobako.engine.create import Created
    from kobako.engine.engine import Engine
    from kobako.engine.requests import CreateRequest
    from kobako.events import OnEvent
    from kobako.runtime.bundle import Interception, Stdio
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


def run(
    engine: Engine,
    request: CreateRequest,
    io: Stdio,
    on_event: OnEvent,
    on_created: Callable[[Created], None],
    *,
    detach: bool,
    forward_signals: bool,
) -> int:
    """docker's `run`: make a container and start it; its exit code, 0 at once when detached.

    The monitor is forked first and gets ready while the container is being made. `on_created` is
    called in between. A container made with --rm that cannot be started is removed.
    """
    from kobako.engine import create
    from kobako.runtime.ahead import Ahead
    from kobako.runtime.bundle import Bundle

    namespaces = create.namespaces(request)
    engine.enter()  # enter first: the monitor is to live inside
    ahead = Ahead(
        io,
        terminal=request.tty,
        namespaces=namespaces,
        detach=detach,
        prepare=lambda: _get_ready(engine),
        intercept_of=lambda given: _interception(engine, *given),
    )
    try:
        created = create.create(engine, request, on_event)
        on_created(created)
    except BaseException:
        ahead.abandon()
        raise
    # What is thrown away at the end need not be on the disk: without `volatile` the kernel writes
    # out the whole file system when the container's mounts go.
    mounts = engine.driver.mounts(created.directory, created.lowers, volatile=request.auto_remove)
    on_exit = reaper(engine, created.id) if request.auto_remove else ()
    ahead.launch(
        Bundle(created.directory, created.spec, mounts),
        os.path.join(created.directory, "state"),
        on_exit=on_exit,
        given=(created.directory, created.lowers),
    )
    _load_end()  # while the monitor is at work
    from kobako.engine import containers

    def discard() -> None:
        if request.auto_remove:
            containers.discard(engine, created.id)

    try:
        started = ahead.started()
    except KobakoError:
        discard()
        raise
    if detach:
        return 0
    return started.wait(forward_signals=forward_signals, meanwhile=discard)


def _load_end() -> None:
    """Import what the end of a container takes, before it is waited for."""
    import kobako.engine.containers
    import kobako.linux.fs
    import kobako.runtime.attach  # noqa: F401


def _get_ready(engine: Engine) -> None:
    """In the monitor, while the container is being made: the modules it and what it forks need."""
    from kobako.engine import bundles

    bundles.load(engine)


def _interception(engine: Engine, directory: str, lowers: list[str]) -> Interception | None:
    """In the monitor: what stands in for root in this mode, if anything does."""
    from kobako.engine import bundles

    return bundles.ownership(engine, directory, lowers)


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
