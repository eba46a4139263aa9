"""Starting a container: this process, the monitor it forks, and the first process that one clones.

    K, the caller ── fork ── M, the monitor ── clone(NEW*) ── the container's first process
         │ control channel       │ setup channel: master, listener, error or success │
         └───────────────────────┘                                                   │
         └── word: what to become, where it was made ahead of that (`ahead`) ────────┘

M is the parent, so only M reaps; K may die and the container goes on. Success is known by the setup
channel closing, which execve does.
"""

from __future__ import annotations

import os
import time

from kobako.errors import Conflict
from kobako.linux import process
from kobako.linux.channel import Channel
from kobako.runtime import outcome
from kobako.runtime.bundle import Bundle, Interception, Plan, Stdio
from kobako.runtime.container import Container
from kobako.runtime.launcher import Launcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_LOCK_TRIES, _LOCK_PAUSE_S = 40, 0.005  # `state` may hold the lock for an instant


def start(
    bundle: Bundle,
    *,
    state_dir: str,
    io: Stdio | None = None,
    detach: bool = False,
    intercept: Interception | None = None,
    on_exit: tuple[str, ...] = (),
    tied: bool = False,
    journal: bytes = b"",
    ephemeral: bool = False,
) -> Container:
    """Starts the container of a bundle; returns once its program runs.

    state_dir: made when missing; see `runtime.state`. One container at a time: `Conflict` else.
    io: the caller's descriptors; ignored but for `hold_stdin` when `detach`.
    detach: the monitor becomes a small process of its own, and the caller need not stay.
    on_exit: a command (absolute path first) the monitor turns into at the very end, if nobody
    attends to the container then or who did has gone and left `state_dir` behind.

    journal: where and about whom the monitor records events (`Monitor.record`), b"" for nowhere.
    ephemeral: the root is thrown away at the end, so that its mounts may be taken down beside that.
    tied: the container does not outlive the caller: when that ends in whatever way, or lets go of
    it (`Container.end`), it is killed.

    Raises `StartFailed` with docker's exit code when the container cannot be made (125) or its
    program is missing (127) or not executable (126); nothing is left running then.
    """
    process.require_single_thread("start a container")
    io = io or Stdio()
    bundle.check()
    bundle = bundle.filtered()
    if not detach:
        bundle = bundle.joined_to(io)
    plan = Plan(bundle, state_dir, intercept, on_exit, tied, journal, ephemeral)
    lock = acquire(state_dir)
    ours, theirs = Channel.pair()
    container = Container(state_dir, bundle.terminal, io, ours)
    try:
        io = container.monitors_io(detach)
        child = os.fork()
        if child == 0:

            def tend() -> NoReturn:
                ours.close()
                keep = {lock, *(intercept.fds if intercept else ())}
                launch = Launcher(io, detach, theirs, plan, lock)
                launch.run(lambda: launch.clone_at_once(keep))

            outcome.tend(theirs, detach, tend)
    finally:
        os.close(lock)
        theirs.close()
        container.forget_pump_end()
    try:
        container.await_start(child, detach)
    except BaseException:
        if tied:
            container.end()
        raise
    return container


def acquire(state_dir: str) -> int:
    """The lock a monitor holds for its life; makes the directory."""
    import fcntl

    os.makedirs(state_dir, mode=0o700, exist_ok=True)

    fd = os.open(f"{state_dir}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_S)
    else:
        os.close(fd)
        raise Conflict(f"the container of {state_dir} is running already")
    for name in ("exit", "pid", "paused"):
        try:
            os.unlink(f"{state_dir}/{name}")
        except FileNotFoundError:
            pass
    return fd
