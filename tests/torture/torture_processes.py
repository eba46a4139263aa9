"""Everything a command started, also what left its session: found as descendants of this process.

`adopt_orphans` makes this process the reaper of all of them, so none can hide by losing its parent.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def descendants(of: int, besides: set[int]) -> list[int]:
    """Living processes below `of`, parents first, without `besides` and what is below those."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
        except OSError:
            continue
        if state not in (b"Z", b"X"):
            children.setdefault(int(parent), []).append(int(name))
    found: list[int] = []
    waiting = [of]
    while waiting:
        for pid in sorted(children.get(waiting.pop(0), ())):
            if pid not in besides:
                found.append(pid)
                waiting.append(pid)
    return found


def kill_all(besides: set[int]) -> None:
    """SIGKILL to everything this process has below it but `besides`, until nothing is left."""
    deadline = time.monotonic() + 20
    while alive := descendants(os.getpid(), besides):
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass  # of another user of a namespace: it ends with the namespace's first process
        assert time.monotonic() < deadline, alive
        time.sleep(0.002)


def await_end(besides: set[int], seconds: float = 20) -> list[int]:
    """Wait until nothing is left below this process but `besides`; what is there at the end."""
    deadline = time.monotonic() + seconds
    while alive := descendants(os.getpid(), besides):
        if time.monotonic() > deadline:
            return alive
        time.sleep(0.02)
    return []


def reap(besides: set[int]) -> None:
    """Collect adopted processes that have ended."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid in besides:
            return
        os.waitpid(found.si_pid, 0)
