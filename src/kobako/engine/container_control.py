"""Acting on containers: signals, stopping and waiting, pauses, new names."""

from __future__ import annotations

import os
import time

from kobako.engine import containers, recording, signals
from kobako.errors import Conflict, Invalid
from kobako.runtime import control, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine

STOP_SECONDS = 10
_RESTART_PAUSE_S = 0.02


def kill(engine: Engine, name: str, signal: str = "KILL") -> None:
    """Send a signal by name or number; `Conflict` when the container does not run.

    After SIGKILL the container has ended when this returns, as docker has it.
    """
    container = containers.find(engine, name)
    number = signals.number(signal)
    if not container.active:
        raise Conflict(f"Cannot kill container: {name}: Container {container.id} is not running")
    configured = container.config.get("StopSignal")
    cancels = number == 9 or not configured or signals.number(configured) == number
    container = _kept_down(engine, container, cancel=cancels)
    if not container.running:
        return
    recording.container(engine, container, "kill", signal=str(number))
    control.kill(container.state_dir, number)
    if number == 9:
        kill_surely(container.state_dir)


def stop(
    engine: Engine,
    name: str,
    *,
    timeout: int | None = None,
    signal: str = "",
) -> None:
    """Ask the container to end, and kill it after `timeout` seconds (-1: never)."""
    container = containers.find(engine, name)
    if container.active:
        container = _kept_down(engine, container)
    if not container.running:
        return
    number = signals.number(signal or container.config.get("StopSignal") or "TERM")
    seconds = container.config.get("StopTimeout", STOP_SECONDS) if timeout is None else timeout
    if container.state.status == "paused":
        control.resume(container.state_dir)
    recording.container(engine, container, "kill", signal=str(number))
    if not _ended_within(container.state_dir, number, seconds):
        recording.container(engine, container, "kill", signal="9")
        kill_surely(container.state_dir)
    recording.container(engine, container, "stop")


def wait(engine: Engine, name: str) -> int:
    """Block until the container has ended; its exit code."""
    container = containers.find(engine, name)
    while container.state.status == "restarting":  # docker's waits for the next end
        time.sleep(_RESTART_PAUSE_S)
        container = containers.find(engine, container.id)
    if not container.running:
        return container.state.exit_code
    return control.wait(container.state_dir)


def _kept_down(engine: Engine, container: Container, *, cancel: bool = True) -> Container:
    """Before it is sent a signal that may end it: its restart policy does not hold for that. Looked
    at again where it was about to be restarted."""
    if "RestartPolicy" not in container.document["HostConfig"]:
        return container
    from kobako.engine import restarting

    restarting.forbid(container, cancel=cancel)
    if container.state.status != "restarting" or not cancel:
        return container
    restarting.call_off(container)
    return containers.find(engine, container.id)


def _ended_within(state_dir: str, signal: int, seconds: float) -> bool:
    """Send a signal and wait; whether the container has ended. Negative: however long it takes."""
    import select

    try:
        pidfd = state.open_process(state_dir)
    except Conflict:
        return True
    try:
        control.kill(state_dir, signal)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(None if seconds < 0 else seconds * 1000):
            return False
    except Conflict:
        pass
    finally:
        os.close(pidfd)
    control.wait(state_dir)
    return True


def end(engine: Engine, container: Container) -> None:
    """SIGKILL to a container that is to be removed, and wait for the end."""
    container = _kept_down(engine, container)
    if container.running:
        recording.container(engine, container, "kill", signal="9")
        kill_surely(container.state_dir)


def kill_surely(state_dir: str) -> None:
    """SIGKILL, and wait for the end; no fault when it had ended already."""
    try:
        control.kill(state_dir, 9)
    except Conflict:
        pass
    control.wait(state_dir)


def pause(engine: Engine, name: str) -> None:
    container = containers.find(engine, name)
    if container.state.status == "paused":
        raise Conflict(f"Container {container.id} is already paused")
    not_restarting(container)
    if not container.running:
        raise Conflict(f"Container {container.id} is not running")
    control.pause(container.state_dir)
    recording.container(engine, container, "pause")


def not_restarting(container: Container) -> None:
    """`Conflict`, in docker's words, while it is between an end and the restart."""
    if container.state.status == "restarting":
        raise Conflict(
            f"Container {container.id} is restarting, wait until the container is running"
        )


def unpause(engine: Engine, name: str) -> None:
    container = containers.find(engine, name)
    if container.state.status != "paused":
        raise Conflict(f"Container {container.id} is not paused")
    control.resume(container.state_dir)
    recording.container(engine, container, "unpause")


def rename(engine: Engine, name: str, new_name: str) -> None:
    """Give a container another name; `Conflict` when it is taken."""
    from kobako.engine import names

    if not new_name:
        raise Invalid("Neither old nor new names may be empty")
    names.check(new_name)
    container = containers.find(engine, name)
    if container.name == new_name.removeprefix("/"):
        raise Conflict("Renaming a container with the same name as its current name")
    old, new = container.name, new_name.removeprefix("/")
    engine.store.db.containers.rename(container.id, new)
    container = container.replace(name=new)
    _tell_monitor(container)
    recording.container(engine, container, "rename", oldName="/" + old)


def _tell_monitor(container: Container) -> None:
    """What the monitor of a container that has been started says in its events."""
    path = os.path.join(container.state_dir, "subject")
    try:
        with open(path + ".new", "wb") as file:
            file.write(recording.about_container(container))
        os.rename(path + ".new", path)
    except OSError:  # it has never been started, or has just gone; the disk is full
        pass
