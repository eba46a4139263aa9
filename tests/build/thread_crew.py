"""A crew of threads, for operations that live in memory."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kobako.build.graph import Output
    from kobako.build.solver import Task


class ThreadCrew:
    def __init__(self) -> None:
        self.threads: dict[int, threading.Thread] = {}
        self.started = 0
        self.most = 0
        self.cancelled = 0
        self.ended: queue.Queue[tuple[int, dict[str, Any] | BaseException]] = queue.Queue()
        self.on_cancel = lambda: None

    def start(self, task: Task, output: Output) -> int:
        self.started += 1
        number = self.started

        def body() -> None:
            try:
                self.ended.put((number, task(output)))
            except BaseException as error:
                self.ended.put((number, error))

        self.threads[number] = threading.Thread(target=body, daemon=True)
        self.most = max(self.most, len(self.threads))
        self.threads[number].start()
        return number

    def wait(self) -> tuple[int, dict[str, Any] | BaseException]:
        number, outcome = self.ended.get(timeout=60)
        self.threads.pop(number).join()
        return number, outcome

    def cancel(self) -> None:
        self.cancelled += 1
        self.on_cancel()
        for thread in self.threads.values():
            thread.join()
        self.threads.clear()
