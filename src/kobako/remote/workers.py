"""A few threads for many blobs. None is left when `run` returns or raises."""

from __future__ import annotations

import threading
from collections import deque
from queue import Empty, SimpleQueue

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

    ended: list[None] = []
    wake: SimpleQueue[None] = SimpleQueue()

    def work() -> None:
        try:
            drain()
        finally:
            ended.append(None)
            wake.put(None)

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

    def wait() -> None:
        # Not join: an interrupted join of Python 3.11 takes a running thread for ended. And a
        # count that an interrupt may leave wrong is not waited for: `ended` alone tells.
        while len(ended) < len(started):
            try:
                wake.get(timeout=0.2)
            except Empty:
                continue

    try:
        for thread in threads:
            thread.start()
            started.append(thread)
        wait()
    except BaseException:
        pending.clear()
        faults.append(Cancelled())
        abort()
        _uninterrupted(wait)
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
