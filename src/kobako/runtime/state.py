"""What became of a container, read from its state directory. `control` acts on it.

<state_dir>/
  lock    held (flock) by the monitor for its life
  pid     JSON: pid, start_time (clock ticks since boot), monitor, started_ns, terminal; written
          when the program runs
  exit    JSON: exit_code, finished_ns, error, oom; written whole when it has ended or not
          started
  log     what it printed; see `runtime.log`
  attach.sock  where the monitor listens, if it does; see `runtime.door`
  paused  exists while it is paused
  cgroup  of one that has limits, while it has a cgroup; see `runtime.cgroup`
  subject  what events say of it from now on, once it has got another name; see `Monitor.record`
"""

from __future__ import annotations

import fcntl
import os
import time

from kobako import fastjson
from kobako.errors import Conflict
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NUMBERS = {"pid": ("pid", "start_time", "started_ns"), "exit": ("exit_code", "finished_ns")}
_CHUNK = 65536
_LOOK_S = 0.001
_LOST = 255
_LOST_TEXT = "the container's monitor was killed; its exit code is not known"


class State(Record):
    """`status` is "created" (never started), "running", "paused" or "exited".

    `pid` is 0 unless running or paused. `exit_code` and `finished_ns` are 0 before the end. `error`
    says why a start failed, or what else went wrong. `oom`: the kernel has killed one of its
    processes for want of memory. `terminal`: the program has one.
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
    # In this order: a start takes away the end first, so that none is seen without its beginning.
    begun = _read(state_dir, "pid")
    ended = _read(state_dir, "exit")
    if ended is not None and _read(state_dir, "pid") != begun:
        return state(state_dir)  # it was started again in between: the end is of another beginning
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
        if _is_locked(state_dir):  # its end is being written down, or it is started again
            _await_news(state_dir, begun)
            return state(state_dir)
        ended = _read(state_dir, "exit")
        if ended is None and _alive(begun):
            return State("running", begun["pid"], 0, begun["started_ns"], error=_LOST_TEXT)
    started = begun["started_ns"] if begun else 0
    if ended is None:
        return State("exited", 0, _LOST, started, _last_sign(state_dir, started), _LOST_TEXT)
    return State(
        "exited",
        0,
        ended["exit_code"],
        started,
        ended["finished_ns"],
        ended.get("error", ""),
        bool(ended.get("oom")),
    )


def _last_sign(state_dir: str, started_ns: int) -> int:
    """When there was last a sign of a container whose end nobody has written down."""
    try:
        return max(started_ns, os.stat(f"{state_dir}/log").st_mtime_ns)
    except OSError:
        return started_ns


def _await_news(state_dir: str, begun: dict[str, Any]) -> None:
    """Returns once there is an end of what had begun, another beginning, or no monitor any more."""
    while _is_locked(state_dir) and _read(state_dir, "pid") == begun:
        if _read(state_dir, "exit") is not None:
            return
        time.sleep(_LOOK_S)


def monitor(state_dir: str) -> int:
    """The pid of the monitor of the last start, whatever has become of it; 0 when there is none."""
    begun = _read(state_dir, "pid")
    return int(begun.get("monitor", 0)) if begun else 0


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


def _read(state_dir: str, name: str) -> dict[str, Any] | None:
    try:
        document = fastjson.restore(_content(f"{state_dir}/{name}"))
    except (FileNotFoundError, ValueError):
        return None  # a file torn by a power cut is as good as none
    if not isinstance(document, dict):
        return None
    numbers = _NUMBERS.get(name, ())
    return document if all(isinstance(document.get(n), int) for n in numbers) else None


def _alive(begun: dict[str, Any]) -> bool:
    try:
        fields = _content(f"/proc/{begun['pid']}/stat").rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] not in (b"Z", b"X") and int(fields[19]) == begun["start_time"]


def _content(path: str) -> bytes:
    """The bytes of a file: `open` makes ten system calls of it, and `ps` asks for many."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        whole = b""
        while data := os.read(fd, _CHUNK):
            whole += data
        return whole
    finally:
        os.close(fd)


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
