"""docker's `attach`: joining the caller's streams to a container that runs."""

from __future__ import annotations

from kobako.errors import Conflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.containers import Container
    from kobako.runtime.bundle import Stdio


def check(container: Container) -> None:
    """`Conflict` unless it can be attached to."""
    if container.state.status == "restarting":
        raise Conflict("You cannot attach to a restarting container, wait until it is running")
    if not container.running:
        raise Conflict("You cannot attach to a stopped container, start it first")
    if container.state.status == "paused":
        raise Conflict("You cannot attach to a paused container, unpause it first")


def attach(container: Container, io: Stdio, *, forward_signals: bool) -> int | None:
    """Stay with a running container to its end; its exit code, None when the keys to detach were
    typed. Input is taken where it was made with -i, signals are passed on where it has no
    terminal. After `check`."""
    from kobako.runtime import visit

    if not container.config["OpenStdin"]:
        io = io.replace(stdin=-1)
    return visit.stay(
        container.state_dir, io, terminal=container.tty, forward_signals=forward_signals
    )
