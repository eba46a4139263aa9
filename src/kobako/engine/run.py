"""docker's `run`: making a container, starting it and staying with it; and what --rm means."""

from __future__ import annotations

import os
import sys

from kobako.errors import KobakoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kobako.engine.create import Created
    from kobako.engine.engine import Engine
    from kobako.engine.requests import CreateRequest
    from kobako.events import OnEvent
    from kobako.runtime.ahead import Ahead
    from kobako.runtime.bundle import Interception, Stdio
    from kobako.runtime.container import Container as Started


def run(
    engine: Engine,
    request: CreateRequest,
    io: Stdio,
    on_event: OnEvent,
    on_created: Callable[[Created], None],
    *,
    detach: bool,
    forward_signals: bool,
) -> int | None:
    """docker's `run`: make a container and start it; its exit code, 0 at once when detached, None
    when the keys to detach were typed.

    The monitor is forked first and gets ready while the container is being made. `on_created` is
    called in between. A container made with --rm that cannot be started is removed.
    """
    from kobako import groups
    from kobako.engine import surroundings
    from kobako.engine.privilege import SINGLE
    from kobako.runtime.ahead import Ahead

    around = surroundings.of_request(engine, request)  # enters: the monitor is to live inside
    ahead = Ahead(
        io,
        terminal=request.tty,
        around=around,
        stage=surroundings.stage(engine),
        detach=detach,
        prepare=lambda: _prepare(engine, detach=detach),
        intercept_of=_interception(engine, detach=detach),
    )
    groups.load("run-create")
    if engine.mode is SINGLE:
        groups.load("run-emulated")
    from kobako.engine import create
    from kobako.store import event_log

    try:
        created = create.create(
            engine,
            request,
            on_event,
            lambda created: _foresee(engine, ahead, request, created),
            around,
            attached=not detach,
        )
        on_created(created)
    except BaseException:
        ahead.abandon()
        raise
    ahead.launch(event_log.journal(engine.settings.root, created.subject))
    groups.load("run-end")  # while the monitor is at work
    started = _started(engine, ahead, request, created)
    if created.document["Config"].get("Healthcheck"):
        from kobako.engine import health

        health.begin(engine, created.id, created.document["Config"], started.pid)
    os.close(created.held)
    if detach:
        return 0
    return attend(engine, started, created.id, request.auto_remove, forward_signals)


def attend(
    engine: Engine, started: Started, container_id: str, auto_remove: bool, forward_signals: bool
) -> int | None:
    """Stay with a container to its end, and do what --rm asks for then."""
    reaps = (lambda let_go: reap(engine, container_id, let_go)) if auto_remove else None
    return started.wait(forward_signals=forward_signals, meanwhile=reaps)


def _foresee(
    engine: Engine, ahead: Ahead, request: CreateRequest, created: Created
) -> Callable[[], None]:
    """Have the monitor make the mounts already; what takes that back."""
    from kobako.engine.privilege import SINGLE
    from kobako.runtime.bundle import Bundle

    program = b""
    if engine.mode is SINGLE:
        from kobako.engine import bundles

        program = bundles.filter_program(engine, created.spec)
    # What is thrown away at the end need not be on the disk: without `volatile` the kernel writes
    # out the whole file system when the container's mounts go.
    mounts = engine.driver.mounts(created.directory, created.lowers, volatile=request.auto_remove)
    ahead.foresee(
        Bundle(created.directory, created.spec, mounts),
        os.path.join(created.directory, "state"),
        filter_program=program,
        on_exit=last_act(engine, created.id, created.document),
        given=(created.directory, created.lowers, program),
        ephemeral=request.auto_remove,
    )
    return ahead.abandon


def _started(engine: Engine, ahead: Ahead, request: CreateRequest, created: Created) -> Started:
    """The container as it runs; of one made with --rm that could not be started nothing is left."""
    try:
        return ahead.started()
    except KobakoError:
        if request.auto_remove:
            from kobako.engine import container_removal

            container_removal.discard(engine, created.id, held=created.held, volumes=True)
        raise


def _prepare(engine: Engine, *, detach: bool) -> None:
    """What the monitor needs besides, where somebody has to stand in for root."""
    from kobako.engine.privilege import SINGLE

    if engine.mode is SINGLE:
        from kobako import groups

        groups.load("emulated" if detach else "lookout")


def _interception(
    engine: Engine, *, detach: bool
) -> Callable[[dict[str, Any], Any], Interception | None]:
    """What tells the monitor what stands in for root in this mode, if anything does."""
    from kobako.engine.privilege import SINGLE

    if engine.mode is not SINGLE:
        return lambda spec, given: None

    def ownership(spec: dict[str, Any], given: Any) -> Interception | None:
        from kobako.engine import bundles

        within = engine.settings.root
        return bundles.ownership(
            engine, given[0], given[1], spec, given[2], within=within, lookout=not detach
        )

    return ownership


def reap(engine: Engine, container_id: str, forgotten: Callable[[], None] = lambda: None) -> None:
    """Remove a container made with --rm that has ended, unless it has been started again.

    `forgotten` as in `container_removal.discard`.
    """
    from kobako.engine import container_removal
    from kobako.linux import claim

    engine.enter()
    held = claim.take(engine.container_dir(container_id), wait=True)
    try:
        if not container_removal.runs(engine, container_id):
            container_removal.discard(
                engine, container_id, held=held, forgotten=forgotten, volumes=True
            )
    finally:
        if held is not None:
            os.close(held)


def last_act(engine: Engine, container_id: str, document: dict[str, Any]) -> tuple[str, ...]:
    """The command the container's monitor turns into at the end, if any."""
    host = document["HostConfig"]
    if host["AutoRemove"]:
        return reaper(engine, container_id)
    if "RestartPolicy" not in host:
        return ()
    from kobako.engine import restarting

    return restarting.restarter(engine, container_id) if restarting.of(document) else ()


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
