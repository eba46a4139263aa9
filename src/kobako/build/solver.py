"""Carries out a graph: what the cache knows is not done again, what is independent runs at once.

Knows neither Dockerfiles nor trees. Everything that is quick is done at once, and so is a vertex
that is alone in being ready; several that are ready together are handed to a crew. The solver
itself has no threads.

Single flight: of vertices with the same first key, one is executed; the others then find its
result in the cache, whichever target or stage they belong to.
"""

from __future__ import annotations

import time

from kobako.build.graph import R, Vertex, order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Generic, Protocol

    from kobako.build.cache import Cache
    from kobako.build.graph import Output

    Task = Callable[[Output], dict[str, Any]]
else:
    from kobako.build.graph import Generic, Protocol


class Observer(Protocol[R]):
    """Told what happens, in the solver's thread."""

    def started(self, vertex: Vertex[R], cached: bool) -> None:
        """`cached`: `done` follows at once. Otherwise it may be found in the cache still."""

    def output(self, vertex: Vertex[R], stream: int, data: bytes) -> None: ...

    def done(self, vertex: Vertex[R], result: R, seconds: float, cached: bool) -> None: ...

    def failed(self, vertex: Vertex[R], error: BaseException, seconds: float) -> None: ...


class Crew(Protocol):
    """Carries tasks out beside each other: in processes, as a rule (`build.worker.Worker.crew`).

    A task takes its output and returns a document of strings, numbers, lists and dicts.
    """

    def start(self, task: Task, output: Output) -> int:
        """Begins a task and returns a number that stands for it."""

    def wait(self) -> tuple[int, dict[str, Any] | BaseException]:
        """Waits until one of the tasks has ended; how it did. Their output is called meanwhile."""

    def cancel(self) -> None:
        """Ends all tasks under way and waits for their end; nothing of them is left."""


class Solver(Generic[R]):
    """Solves graphs with one cache."""

    def __init__(
        self,
        cache: Cache,
        observer: Observer[R],
        crew: Callable[[], Crew],
        *,
        parallelism: int = 1,
    ) -> None:
        """`crew` is asked for when several vertices are to be carried out at once."""
        self._cache = cache
        self._observer = observer
        self._make_crew = crew
        self._crew: Crew | None = None
        self._parallelism = max(1, parallelism)
        self._made: set[str] = set()
        self._failed: list[Vertex[R]] = []

    def solve(
        self, targets: tuple[Vertex[R], ...], failed: list[Vertex[R]] | None = None
    ) -> dict[Vertex[R], R]:
        """The results of the targets and of everything they need.

        The first error ends the build: what runs beside it is cancelled and waited for, and the
        error is raised. What had finished is in the cache. `failed` is given the vertex that
        failed.
        """
        self._failed = [] if failed is None else failed
        vertices = order(targets)
        work = _Work(vertices)
        try:
            self._advance(work)
            for vertex in reversed(vertices):
                if vertex not in work.results:
                    self._check(vertex)
            while work.unfinished():
                self._advance(work)
                if not work.running and min(len(work.dear), self._parallelism) == 1:
                    self._carry_out_here(work, work.dear.pop(0))
                    continue
                while work.dear and len(work.running) < self._parallelism:
                    self._hand_out(work, work.dear.pop(0))
                if work.running:
                    self._collect(work)
        except BaseException:
            if self._crew is not None:
                self._crew.cancel()
            raise
        return work.results

    def _check(self, vertex: Vertex[R]) -> None:
        check = getattr(vertex.op, "check", None)
        if check is None:
            return
        begun = time.monotonic()
        try:
            check()
        except BaseException as error:
            self._observer.started(vertex, False)
            self._fail(vertex, error, begun)
            raise

    def _advance(self, work: _Work[R]) -> None:
        """Finishes what the cache knows and what is quick; the rest of what is ready is dear."""
        while work.ready:
            vertex = work.ready.pop(0)
            inputs = work.inputs(vertex)
            begun = time.monotonic()
            try:
                key = next(vertex.op.keys(inputs), "")
                result = self._from_cache(vertex, key, inputs) if key else None
            except BaseException as error:
                self._observer.started(vertex, False)
                self._fail(vertex, error, begun)
                raise
            if result is not None:
                self._observer.started(vertex, True)
                self._observer.done(vertex, result, time.monotonic() - begun, True)
                work.finish(vertex, result)
            elif vertex.op.quick:
                self._carry_out_here(work, vertex)
            else:
                work.await_turn(vertex, key)

    def _from_cache(self, vertex: Vertex[R], key: str, inputs: tuple[R, ...]) -> R | None:
        if vertex.fresh and key not in self._made:
            return None
        row = self._cache.get(key)
        return vertex.op.restore(row, inputs) if row is not None else None

    def _carry_out(
        self, vertex: Vertex[R], inputs: tuple[R, ...], output: Output
    ) -> tuple[R, list[str], bool]:
        """(result, its keys, whether it was in the cache): by a dearer key, else by executing."""
        asked = []
        for number, key in enumerate(vertex.op.keys(inputs)):
            asked.append(key)
            result = self._from_cache(vertex, key, inputs) if number else None
            if result is not None:
                return result, asked, True
        return vertex.op.execute(inputs, output), asked, False

    def _carry_out_here(self, work: _Work[R], vertex: Vertex[R]) -> None:
        inputs = work.inputs(vertex)
        begun = time.monotonic()
        self._observer.started(vertex, False)
        try:
            result, keys, cached = self._carry_out(vertex, inputs, self._output(vertex))
            self._keep(keys, vertex.op.record(result) if keys else {})
        except BaseException as error:
            self._fail(vertex, error, begun)
            raise
        self._observer.done(vertex, result, time.monotonic() - begun, cached)
        work.finish(vertex, result)

    def _hand_out(self, work: _Work[R], vertex: Vertex[R]) -> None:
        inputs = work.inputs(vertex)

        def task(output: Output) -> dict[str, Any]:
            result, keys, cached = self._carry_out(vertex, inputs, output)
            return {"result": vertex.op.record(result), "keys": keys, "cached": cached}

        if self._crew is None:
            self._crew = self._make_crew()
        self._observer.started(vertex, False)
        number = self._crew.start(task, self._output(vertex))
        work.running[number] = vertex, time.monotonic()

    def _collect(self, work: _Work[R]) -> None:
        assert self._crew is not None
        number, outcome = self._crew.wait()
        vertex, begun = work.running.pop(number)
        try:
            if isinstance(outcome, BaseException):
                raise outcome
            result = vertex.op.restore(outcome["result"], work.inputs(vertex))
            if result is None:
                raise RuntimeError(f"{vertex.name}: what it made is gone already")
            self._keep(outcome["keys"], outcome["result"])
        except BaseException as error:
            self._fail(vertex, error, begun)
            raise
        self._observer.done(vertex, result, time.monotonic() - begun, outcome["cached"])
        work.finish(vertex, result)

    def _output(self, vertex: Vertex[R]) -> Output:
        return lambda stream, data: self._observer.output(vertex, stream, data)

    def _keep(self, keys: list[str], document: dict[str, Any]) -> None:
        for key in keys:
            self._cache.put(key, document)
        self._made.update(keys)

    def _fail(self, vertex: Vertex[R], error: BaseException, begun: float) -> None:
        self._failed.append(vertex)
        self._observer.failed(vertex, error, time.monotonic() - begun)


class _Work(Generic[R]):
    """Where a solve stands: results, what is ready, dear or running."""

    def __init__(self, vertices: list[Vertex[R]]) -> None:
        self.results: dict[Vertex[R], R] = {}
        self.dear: list[Vertex[R]] = []
        self.running: dict[int, tuple[Vertex[R], float]] = {}
        self._keys: dict[Vertex[R], str] = {}
        self._flights: dict[str, list[Vertex[R]]] = {}
        self._waiting = {v: len(set(v.inputs)) for v in vertices}
        self._users: dict[Vertex[R], list[Vertex[R]]] = {v: [] for v in vertices}
        for vertex in vertices:
            for needed in dict.fromkeys(vertex.inputs):
                self._users[needed].append(vertex)
        self.ready = [v for v in vertices if not v.inputs]

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
