"""Work on many files by several threads: the kernel's part of it runs side by side."""

from __future__ import annotations

import os
import threading

from kobako.linux.fork import Undisturbed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST = 4


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

    count = min(len(tasks), os.cpu_count() or 1, _MOST)
    threads = [threading.Thread(target=work) for _ in range(count - 1)]
    try:
        with Undisturbed():  # or one could be begun that nobody knows of
            for thread in threads:
                thread.start()
        work()
    except BaseException as error:  # an interrupt: the others stop at their next task
        errors.append(error)
    for thread in threads:
        if thread.is_alive():
            thread.join()
    if errors:
        raise errors[0]
