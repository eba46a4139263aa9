"""What became of a container, read from its state directory, and signals for it.

<state_dir>/
  lock    held (flock) by the monitor for its life
  pid     JSON: pid, start_time (clock ticks since boot), monitor, started_ns, terminal; written
          when the program runs
  exit    JSON: exit_code, finished_ns, error; written whole when it has ended or not started
  log     what it printed; see `runtime.log`
  paused  exists while it is paused
"""

from __future__ import annotations

import fcntl
import os
import stat
import time

from kobako import fastjson
from kobako.errors import Conflict
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any
else:
    import _signal  # `signal` itself imports enum: 2 ms

_NUMBERS = {"pid": ("pid", "start_time", "started_ns"), "exit": ("exit_code", "finished_ns")}
_SIGKILL, _SIGCONT, _SIGSTOP = 9, 18, 19
_LOST = 255
_LOST_TEXT = "the container's monitor was killed; its exit code is not known"


class State(Record):
    """`status` is "created" (never started), "running", "paused" or "exited".

    `pid` is 0 unless running or paused. `exit_code` and `finished_ns` are 0 before the end. `error`
    says why a start failed, or what else went wrong. `terminal`: the program has one.
    """

    status: str
    pid: int = 0
    exit_code: int = 0
    started_ns: int = 0
    finished_ns: int = 0
    error: str = ""
    oom: bool = False
    terminal: bool = False


def state(state_dir: str) -> State:
    """The state now. A directory that does not exist is a container never started."""
    ended = _read(state_dir, "exit")
    begun = _read(state_dir, "pid")
    if ended is None and begun is None:
        return State("created")
    if ended is None and begun is not None:
        if _alive(begun) and _is_locked(state_dir):
            status = "paused" if os.path.exists(f"{state_dir}/paused") else "running"
            return State(
                status,
                begun["pid"],
                started_ns=begun["started_ns"],
                terminal=begun["terminal"],
            )
        if _is_locked(state_dir):  # its end is being written down
            wait_unlocked(state_dir)
        ended = _read(state_dir, "exit")
        if ended is None and _alive(begun):
            return State("running", begun["pid"], 0, begun["started_ns"], error=_LOST_TEXT)
    started = begun["started_ns"] if begun else 0
    if ended is None:
        return State("exited", 0, _LOST, started, _last_sign(state_dir, started), _LOST_TEXT)
    return State(
        "exited", 0, ended["exit_code"], started, ended["finished_ns"], ended.get("error", "")
    )


def _last_sign(state_dir: str, started_ns: int) -> int:
    """When there was last a sign of a container whose end nobody has written down."""
    try:
        return max(started_ns, os.stat(f"{state_dir}/log").st_mtime_ns)
    except OSError:
        return started_ns


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


def wait_unlocked(state_dir: str) -> None:
    """Blocks while a monitor lives."""
    try:
        fd = os.open(f"{state_dir}/lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


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


def running(state_dir: str) -> State:
    """The state of a container that runs or is paused; `Conflict` else."""
    now = state(state_dir)
    if now.status not in ("running", "paused"):
        raise Conflict(f"the container of {state_dir} is not running")
    return now


def open_process(state_dir: str) -> int:
    """A pidfd of the container's first process, surely that one. `Conflict` when it has ended."""
    begun = _read(state_dir, "pid")
    if begun is not None:
        try:
            pidfd = os.pidfd_open(begun["pid"])
        except ProcessLookupError:
            pass
        else:
            if _alive(begun):
                return pidfd
            os.close(pidfd)
    raise Conflict(f"the container of {state_dir} is not running")


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


def _read(state_dir: str, name: str) -> dict[str, Any] | None:
    try:
        with open(f"{state_dir}/{name}", "rb") as file:
            document = fastjson.loads(file.read())
    except (FileNotFoundError, ValueError):
        return None  # a file torn by a power cut is as good as none
    if not isinstance(document, dict):
        return None
    numbers = _NUMBERS.get(name, ())
    return document if all(isinstance(document.get(n), int) for n in numbers) else None


def _alive(begun: dict[str, Any]) -> bool:
    try:
        with open(f"/proc/{begun['pid']}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] not in (b"Z", b"X") and int(fields[19]) == begun["start_time"]


def _is_locked(state_dir: str) -> bool:
    try:
        fd = os.open(f"{state_dir}/lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


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
