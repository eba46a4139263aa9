"""Work on many files by several threads: the kernel's part of it runs side by side."""

from __future__ import annotations

import os
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST = 4
_PATIENCE_S = 0.0005


def run_all(tasks: Sequence[Callable[[], None]]) -> None:
    """Carries out every task, in any order. Every thread has ended on return; the first error is
    raised, and what had not begun by then is left."""
    errors: list[BaseException] = []
    waiting = iter(tasks)
    lock = threading.Lock()

    def work() -> None:
        while not errors:
            with lock:
                task = next(waiting, None)
            if task is None:
                return
            try:
                task()
            except BaseException as error:
                errors.append(error)

    before = _threads()
    count = min(len(tasks), os.cpu_count() or 1, _MOST)
    threads = [threading.Thread(target=work) for _ in range(count - 1)]
    for thread in threads:
        thread.start()
    try:
        work()
    except BaseException as error:  # an interrupt: the others stop at their next task
        errors.append(error)
    for thread in threads:
        thread.join()
    _await_gone(before)
    if errors:
        raise errors[0]


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _await_gone(before: int) -> None:
    """A thread that has been joined is the kernel's for an instant more, and who forks next must
    be alone."""
    for _ in range(2000):
        if _threads() <= before:
            return
        time.sleep(_PATIENCE_S)
