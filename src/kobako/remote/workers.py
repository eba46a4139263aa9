"""A few threads for many blobs. None is left when `run` returns or raises."""

from __future__ import annotations

import signal
import threading
from collections import deque
from queue import Empty, SimpleQueue

from kobako.remote.failures import Cancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Task = Callable[[], None]

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(tasks: Iterable[Task], parallel: int, abort: Callable[[], None]) -> None:
    """Do all tasks, in order of their start, `parallel` at once.

    The first failure, or an interrupt of the calling thread, calls `abort` (which must make the
    running tasks end soon), lets no further task begin, waits for the threads and is raised.
    """
    pending = deque(tasks)
    if len(pending) < 2 or parallel < 2:
        for task in pending:
            task()
        return
    workers = _Workers(pending, abort)
    try:
        workers.start(min(parallel, len(pending)))
        workers.wait()
    except BaseException:
        workers.stop(Cancelled())
        _uninterrupted(workers.wait)
        raise
    finally:
        workers.join()
    for fault in workers.faults:
        if not isinstance(fault, Cancelled):
            raise fault
    if workers.faults:
        raise workers.faults[0]


class _Workers:
    """Threads that take tasks until there are none, or one has failed."""

    def __init__(self, pending: deque[Task], abort: Callable[[], None]) -> None:
        self.faults: list[BaseException] = []
        self._pending = pending
        self._abort = abort
        self._started: list[threading.Thread] = []
        self._ended: list[None] = []
        self._wake: SimpleQueue[None] = SimpleQueue()

    def start(self, count: int) -> None:
        # Nobody could tell whether the thread of an interrupted start runs: interrupts wait, here
        # and, as threads inherit it, for ever in the threads.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
            for number in range(count):
                name = f"kobako-transfer-{number}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                thread.start()
                self._started.append(thread)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)

    def wait(self) -> None:
        """Until every thread has ended.

        Not join: an interrupted join of Python 3.11 takes a running thread for ended. And a count
        that an interrupt may leave wrong is not waited for: the list of those that ended tells.
        """
        while len(self._ended) < len(self._started):
            try:
                self._wake.get(timeout=0.2)
            except Empty:
                continue

    def join(self) -> None:
        for thread in self._started:
            _uninterrupted(thread.join)

    def stop(self, fault: BaseException) -> None:
        """Let nothing begin any more, and what runs end."""
        self.faults.append(fault)
        self._pending.clear()
        self._abort()

    def _work(self) -> None:
        try:
            self._drain()
        finally:
            self._ended.append(None)
            self._wake.put(None)

    def _drain(self) -> None:
        while not self.faults:
            try:
                task = self._pending.popleft()
            except IndexError:
                return
            try:
                task()
            except BaseException as fault:  # raised again by `run`
                self.stop(fault)


def _uninterrupted(wait: Callable[[], object]) -> None:
    """Wait for what is about to happen, whatever keys are pressed meanwhile."""
    while True:
        try:
            wait()
            return
        except KeyboardInterrupt:
            continue
