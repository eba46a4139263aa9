"""Carries out a graph: what the cache knows is not done again, what is independent runs at once.

Knows neither Dockerfiles nor trees. Everything that is quick happens in the calling thread, and so
does a vertex that is alone in being ready: a graph that is a chain never starts a thread.

Single flight: of vertices with the same first key, one is executed; the others then find its
result in the cache, whichever target or stage they belong to.
"""

from __future__ import annotations

import time

from kobako.build.graph import R, Vertex, order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Generic, Protocol

    from kobako.build.cache import Cache
else:
    from kobako.build.graph import Generic, Protocol


class Observer(Protocol[R]):
    """Told what happens; `output` and the end of a vertex may come from any thread."""

    def started(self, vertex: Vertex[R]) -> None: ...

    def output(self, vertex: Vertex[R], stream: int, data: bytes) -> None: ...

    def done(self, vertex: Vertex[R], result: R, seconds: float, cached: bool) -> None: ...

    def failed(self, vertex: Vertex[R], error: BaseException, seconds: float) -> None: ...


class Crew(Protocol):
    """Who has to know of threads: see `Worker.parallel` and `Worker.cancel`."""

    def parallel(self, on: bool) -> None: ...

    def cancel(self) -> None: ...


class Solver(Generic[R]):
    """Solves graphs with one cache."""

    def __init__(
        self,
        cache: Cache,
        observer: Observer[R],
        crew: Crew,
        *,
        parallelism: int = 1,
    ) -> None:
        self._cache = cache
        self._observer = observer
        self._crew = crew
        self._parallelism = max(1, parallelism)
        self._made: set[str] = set()
        self._failed: list[Vertex[R]] = []

    def solve(
        self, targets: tuple[Vertex[R], ...], failed: list[Vertex[R]] | None = None
    ) -> dict[Vertex[R], R]:
        """The results of the targets and of everything they need.

        The first error ends the build: what runs beside it is cancelled, waited for, and the error
        is raised. What had finished is in the cache. `failed` is given the vertices that failed,
        the one whose error is raised first.
        """
        self._failed = [] if failed is None else failed
        work = _Work(order(targets))
        try:
            while work.unfinished():
                self._advance(work)
                if work.dear and not work.running and min(len(work.dear), self._parallelism) == 1:
                    vertex = work.dear.pop(0)
                    work.finish(vertex, self._execute(vertex, work.inputs(vertex)))
                    continue
                while work.dear and work.running < self._parallelism:
                    self._start(work, work.dear.pop(0))
                if work.running:
                    self._collect(work)
        except BaseException:
            if work.running:
                self._crew.cancel()
                while work.running:
                    work.wait()
            raise
        finally:
            if work.threads_used:
                self._crew.parallel(False)
        return work.results

    def _advance(self, work: _Work[R]) -> None:
        """Finishes what the cache knows and what is quick; the rest of what is ready is dear."""
        while work.ready:
            vertex = work.ready.pop(0)
            inputs = work.inputs(vertex)
            if self._from_cache(work, vertex, inputs):
                continue
            if vertex.op.quick:
                work.finish(vertex, self._execute(vertex, inputs))
            else:
                work.await_turn(vertex, next(vertex.op.keys(inputs), ""))

    def _from_cache(self, work: _Work[R], vertex: Vertex[R], inputs: tuple[R, ...]) -> bool:
        begun = time.monotonic()
        try:
            for key in vertex.op.keys(inputs):
                if vertex.fresh and key not in self._made:
                    return False
                row = self._cache.get(key)
                result = vertex.op.restore(row, inputs) if row is not None else None
                if result is not None:
                    self._observer.started(vertex)
                    self._observer.done(vertex, result, time.monotonic() - begun, True)
                    work.finish(vertex, result)
                    return True
        except BaseException as error:
            self._observer.started(vertex)
            self._failed.append(vertex)
            self._observer.failed(vertex, error, time.monotonic() - begun)
            raise
        return False

    def _execute(self, vertex: Vertex[R], inputs: tuple[R, ...]) -> R:
        """Executes and records; tells the observer in either case."""
        begun = time.monotonic()
        self._observer.started(vertex)
        try:
            result = vertex.op.execute(
                inputs, lambda stream, data: self._observer.output(vertex, stream, data)
            )
            keys = list(vertex.op.keys(inputs))
            document = vertex.op.record(result) if keys else {}
            for key in keys:
                self._cache.put(key, document)
            self._made.update(keys)
        except BaseException as error:
            self._failed.append(vertex)
            self._observer.failed(vertex, error, time.monotonic() - begun)
            raise
        self._observer.done(vertex, result, time.monotonic() - begun, False)
        return result

    def _start(self, work: _Work[R], vertex: Vertex[R]) -> None:
        import threading

        if not work.threads_used:
            self._crew.parallel(True)
            work.threads_used = True
        inputs = work.inputs(vertex)

        def body() -> None:
            try:
                outcome: tuple[R | None, BaseException | None] = self._execute(vertex, inputs), None
            except BaseException as error:
                outcome = None, error
            work.report(vertex, *outcome)

        work.running += 1
        threading.Thread(target=body, name=vertex.name, daemon=True).start()

    def _collect(self, work: _Work[R]) -> None:
        vertex, result, error = work.wait()
        if error is not None:
            self._failed.sort(key=lambda other: other is not vertex)
            raise error
        work.finish(vertex, result)  # type: ignore[arg-type]  # without an error there is a result


class _Work(Generic[R]):
    """Where a solve stands."""

    def __init__(self, vertices: list[Vertex[R]]) -> None:
        from _queue import SimpleQueue

        self.results: dict[Vertex[R], R] = {}
        self.dear: list[Vertex[R]] = []
        self._keys: dict[Vertex[R], str] = {}
        self._flights: dict[str, list[Vertex[R]]] = {}
        self.running = 0
        self.threads_used = False
        self._waiting = {v: len(set(v.inputs)) for v in vertices}
        self._users: dict[Vertex[R], list[Vertex[R]]] = {v: [] for v in vertices}
        for vertex in vertices:
            for needed in dict.fromkeys(vertex.inputs):
                self._users[needed].append(vertex)
        self.ready = [v for v in vertices if not v.inputs]
        self._reports: SimpleQueue[tuple[Vertex[R], R | None, BaseException | None]] = SimpleQueue()

    def unfinished(self) -> bool:
        return len(self.results) < len(self._waiting)

    def inputs(self, vertex: Vertex[R]) -> tuple[R, ...]:
        return tuple(self.results[needed] for needed in vertex.inputs)

    def await_turn(self, vertex: Vertex[R], key: str) -> None:
        """A vertex that has to be executed, unless another one with its key is going to be."""
        if key in self._flights:
            self._flights[key].append(vertex)
            return
        if key:
            self._flights[key] = []
            self._keys[vertex] = key
        self.dear.append(vertex)

    def finish(self, vertex: Vertex[R], result: R) -> None:
        self.results[vertex] = result
        self.ready += self._flights.pop(self._keys.pop(vertex, ""), ())
        for user in self._users[vertex]:
            self._waiting[user] -= 1
            if not self._waiting[user]:
                self.ready.append(user)

    def report(self, vertex: Vertex[R], result: R | None, error: BaseException | None) -> None:
        self._reports.put((vertex, result, error))

    def wait(self) -> tuple[Vertex[R], R | None, BaseException | None]:
        outcome = self._reports.get()
        self.running -= 1
        return outcome
