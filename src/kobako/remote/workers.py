"""A few threads for many blobs. None is left when `run` returns or raises."""

from __future__ import annotations

import threading
from collections import deque

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

    def work() -> None:
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
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
        for thread in started:
            thread.join()
    except BaseException:
        pending.clear()
        faults.append(Cancelled())
        abort()
        for thread in started:
            _join(thread)
        raise
    for fault in faults:
        if not isinstance(fault, Cancelled):
            raise fault
    if faults:
        raise faults[0]


def _join(thread: threading.Thread) -> None:
    """Wait for a thread that is about to end, whatever keys are pressed meanwhile."""
    while thread.is_alive():
        try:
            thread.join()
        except KeyboardInterrupt:
            continue
