"""Acting on a container by its state directory: signals, pauses, the wait for its end."""

from __future__ import annotations

import os
import stat
import time

from kobako.errors import Conflict
from kobako.runtime.state import open_process, running, state, wait_unlocked

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal  # `signal` itself imports enum: 2 ms

_SIGKILL, _SIGCONT, _SIGSTOP = 9, 18, 19


def wait(state_dir: str) -> int:
    """Blocks until the container has ended; its exit code.

    255 when its monitor was killed. `Conflict` when it was never started.
    """
    wait_unlocked(state_dir)
    now = state(state_dir)
    if now.status == "created":
        raise Conflict(f"the container of {state_dir} has not been started")
    if now.status != "exited":  # the monitor is gone, the process not yet
        _wait_gone(now.pid)
        now = state(state_dir)
    return now.exit_code


def kill(state_dir: str, signal: int) -> None:
    """Sends a signal to the container's first process; SIGKILL ends the container.

    `Conflict` when it is not running. A paused container gets SIGKILL through.
    """
    now = running(state_dir)
    pidfd = open_process(state_dir)
    try:
        _signal.pidfd_send_signal(pidfd, signal)
        if now.status == "paused" and signal == _SIGKILL:
            _forget_pause(state_dir)
    except ProcessLookupError:
        raise Conflict(f"the container of {state_dir} is not running") from None
    finally:
        os.close(pidfd)


def pause(state_dir: str) -> None:
    """Stops every process of the container (SIGSTOP, until cgroups are there); idempotent."""
    now = running(state_dir)
    if now.status == "paused":
        return
    os.close(os.open(f"{state_dir}/paused", os.O_CREAT | os.O_CLOEXEC, 0o600))
    stopped: set[int] = set()
    while True:  # until a look finds nobody new: a process may fork while we look
        found = set(processes(now.pid)) - stopped
        if not found:
            return
        for pid in found:
            _send(pid, _SIGSTOP)
        while any(_runs(pid) for pid in found):
            time.sleep(0.0005)
        stopped |= found


def resume(state_dir: str) -> None:
    """Lets a paused container go on; `Conflict` when it is not paused."""
    now = running(state_dir)
    if now.status != "paused":
        raise Conflict(f"the container of {state_dir} is not paused")
    for pid in processes(now.pid):
        _send(pid, _SIGCONT)
    _forget_pause(state_dir)


def processes(pid: int) -> list[int]:
    """The processes of the container whose first is `pid`, in our numbers, ascending.

    Those of its pid namespace; of one that shares ours, `pid` and its descendants.
    """
    try:
        wanted = os.stat(f"/proc/{pid}/ns/pid")
        ours = os.stat("/proc/self/ns/pid")
    except FileNotFoundError:
        return []
    numbers = sorted(int(n) for n in os.listdir("/proc") if n.isdigit())
    if wanted.st_ino == ours.st_ino:
        return _descendants(pid, numbers)
    found = []
    for number in numbers:
        try:
            if os.stat(f"/proc/{number}/ns/pid").st_ino == wanted.st_ino:
                found.append(number)
        except OSError:
            pass  # it has ended, or is none of ours
    return found


def delete(state_dir: str) -> None:
    """Removes the state of a container that is not running; `Conflict` when it is."""
    now = state(state_dir)
    if now.status in ("running", "paused"):
        raise Conflict(f"the container of {state_dir} is running")
    try:
        names = os.listdir(state_dir)
    except FileNotFoundError:
        return
    for name in names:
        path = f"{state_dir}/{name}"
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
    os.rmdir(state_dir)


def _descendants(pid: int, numbers: list[int]) -> list[int]:
    parents: dict[int, int] = {}
    for number in numbers:
        try:
            with open(f"/proc/{number}/stat", "rb") as file:
                parents[number] = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            pass
    found = {pid}
    while True:
        more = {n for n, parent in parents.items() if parent in found} - found
        if not more:
            return sorted(found)
        found |= more


def _runs(pid: int) -> bool:
    """Whether a signal to stop has not yet taken effect."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in b"RSI"
    except OSError:
        return False


def _send(pid: int, signal: int) -> None:
    try:
        os.kill(pid, signal)
    except ProcessLookupError:
        pass


def _forget_pause(state_dir: str) -> None:
    try:
        os.unlink(f"{state_dir}/paused")
    except FileNotFoundError:
        pass


def _wait_gone(pid: int) -> None:
    import select

    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.poll()
    os.close(fd)
