"""Starting containers that have been made, attached and detached."""

from __future__ import annotations

import os

from kobako.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine
    from kobako.runtime.bundle import Stdio
    from kobako.runtime.container import Container as Started


def start(engine: Engine, name: str) -> None:
    """Start a container in the background; a running one is left as it is."""
    from kobako.engine import containers

    container = containers.find(engine, name)
    if container.active:
        return
    with hold(container):
        _launch_detached(engine, container)


def restart(engine: Engine, name: str, *, timeout: int | None = None, signal: str = "") -> None:
    """Stop a container if it runs, and start it in the background.

    One made with --rm is not removed by its end in between.
    """
    from kobako.engine import container_control, containers, recording

    container = containers.find(engine, name)
    if container.state.status == "restarting":
        container_control.stop(engine, container.id)
    with hold(container):
        container_control.stop(engine, container.id, timeout=timeout, signal=signal)
        _launch_detached(engine, container)
    recording.container(engine, container, "restart")


class hold:  # noqa: N801 - read as a state: with hold(container)
    """While it lasts, nobody removes a container made with --rm that has ended (`run.reap`), and
    nobody mounts the tree of one that does not run to write in it (`container_tree`)."""

    def __init__(self, container: Container) -> None:
        self._directory = container.directory
        self._fd: int | None = None

    def __enter__(self) -> None:
        from kobako.linux import claim

        self._fd = claim.take(self._directory, wait=True)
        if self._fd is None or not os.path.isdir(self._directory):
            self.__exit__()
            raise NotFound("the container has just ended or been removed")

    def __exit__(self, *fault: object) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _launch_detached(engine: Engine, container: Container) -> None:
    _begin_anew(container)
    launch_again(engine, container)


def _begin_anew(container: Container) -> None:
    if "RestartPolicy" in container.document["HostConfig"]:
        from kobako.engine import restarting

        restarting.begin_anew(container)


def launch_again(engine: Engine, container: Container) -> None:
    """Start in the background a container that is held, as its restart policy says."""
    from kobako.runtime.bundle import Stdio

    _launch(engine, container, _with_stdin_held(container, Stdio()), detach=True)


def _with_stdin_held(container: Container, io: Stdio) -> Stdio:
    """The same streams; who attaches can write to a container made with -i that gets no stdin."""
    if io.stdin >= 0 or not container.config["OpenStdin"]:
        return io
    return io.replace(hold_stdin=True, stdin_once=bool(container.config["StdinOnce"]))


def attach_and_wait(
    engine: Engine,
    name: str,
    io: Stdio,
    *,
    forward_signals: bool,
) -> int | None:
    """Start a container joined to the caller's streams, or attach to it when it runs; its exit code
    when it ends, None when the keys to detach were typed."""
    from kobako.engine import containers, recording, run

    container = containers.find(engine, name)
    if container.active:
        from kobako.engine import attach

        attach.check(container)
        recording.container(engine, container, "attach")
        return attach.attach(container, io, forward_signals=forward_signals)
    if not container.config["OpenStdin"]:
        io = io.replace(stdin=-1)
    recording.container(engine, container, "attach")
    with hold(container):
        _begin_anew(container)
        io = _with_stdin_held(container, io)
        started = _launch(engine, container, io, detach=False)
    return run.attend(engine, started, container.id, container.auto_remove, forward_signals)


def _launch(
    engine: Engine,
    container: Container,
    io: Stdio,
    *,
    detach: bool,
) -> Started:
    from kobako.engine import bundles, recording, run
    from kobako.runtime.launch import start as launch
    from kobako.store import event_log

    bundle = bundles.bundle(engine, container)
    started = launch(
        bundle,
        state_dir=container.state_dir,
        io=io,
        detach=detach,
        intercept=bundles.ownership(
            engine,
            container.directory,
            container.document["Lowers"],
            bundle.spec,
            bundles.filter_program(engine, bundle.spec),
            within=engine.settings.root,
            lookout=not detach,
        ),
        on_exit=run.last_act(engine, container.id, container.document),
        journal=event_log.journal(engine.settings.root, recording.about_container(container)),
    )
    if container.config.get("Healthcheck"):
        from kobako.engine import health

        health.begin(engine, container.id, container.config, started.pid)
    return started
