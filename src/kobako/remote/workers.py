"""A few threads for many blobs. None is left when `run` returns or raises."""

from __future__ import annotations

import threading
from collections import deque
from queue import SimpleQueue

from kobako.remote.failures import Cancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Task = Callable[[], None]


def run(tasks: Iterable[Task], parallel: int, abort: Callable[[], None]) -> None:
    """Do all tasks, in order of their start, `parallel` at once.

    The first failure, or an interrupt of the calling thread, calls `abort` (which must make the
    running tasks end soon), lets no further task begin, waits for the threads and is raised.
    """
    pending = deque(tasks)
    faults: list[BaseException] = []
    if not pending:
        return
    if len(pending) == 1 or parallel < 2:
        while pending:
            pending.popleft()()
        return

    ended: SimpleQueue[None] = SimpleQueue()

    def work() -> None:
        try:
            drain()
        finally:
            ended.put(None)

    def drain() -> None:
        while not faults:
            try:
                task = pending.popleft()
            except IndexError:
                return
            try:
                task()
            except BaseException as fault:  # handed to the caller below
                faults.append(fault)
                pending.clear()
                abort()

    threads = [
        threading.Thread(target=work, name=f"kobako-transfer-{number}", daemon=True)
        for number in range(min(parallel, len(pending)))
    ]
    started: list[threading.Thread] = []
    waiting = 0
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
        # Not join: an interrupted join of Python 3.11 takes a running thread for ended.
        waiting = len(started)
        while waiting:
            ended.get()
            waiting -= 1
    except BaseException:
        pending.clear()
        faults.append(Cancelled())
        abort()
        for _ in range(waiting or len(started)):
            _uninterrupted(ended.get)
        raise
    finally:
        for thread in started:
            _uninterrupted(thread.join)
    for fault in faults:
        if not isinstance(fault, Cancelled):
            raise fault
    if faults:
        raise faults[0]


def _uninterrupted(wait: Callable[[], object]) -> None:
    """Wait for what is about to happen, whatever keys are pressed meanwhile."""
    while True:
        try:
            wait()
            return
        except KeyboardInterrupt:
            continue
