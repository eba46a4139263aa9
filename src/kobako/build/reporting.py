"""Turns what the solver does into progress events: vertices as they happen, steps in order."""

from __future__ import annotations

import time

from kobako.build import progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kobako.build.graph import Vertex
    from kobako.build.ops.result import Result
    from kobako.build.plan import Plan, Step
    from kobako.build.result_image import Images
    from kobako.build.why.reasons import Reasons
    from kobako.build.worker import BaseImage, Worker
    from kobako.events import Event, OnEvent


class Reporter:
    """Observes a solver. Also numbers what happens before it: `begin` and `end`.

    Steps are told strictly in order. What a later step says while an earlier one is not done is
    held back, so that classic output reads the same however many stages run at once.
    """

    def __init__(self, on_event: OnEvent, images: Images) -> None:
        import _thread

        self._on_event = on_event
        self._images = images
        self._lock = _thread.RLock()
        self._numbers: dict[Vertex[Result], int] = {}
        self._begun: dict[int, float] = {}
        self._count = 0
        self._shown: dict[Vertex[Result], str] = {}
        self._steps: list[Step] = []
        self._places: dict[Vertex[Result], list[int]] = {}
        self._containers: dict[Vertex[Result], str] = {}
        self._held: dict[int, list[Event]] = {}
        self._current = 1
        self.cached: dict[Vertex[Result], bool] = {}
        self.reasons: list[Reasons] = []
        self._why: dict[Vertex[Result], str] = {}
        self._brought: set[Vertex[Result]] = set()

    def plan(self, plans: Sequence[Plan]) -> None:
        """What is going to happen; from here on steps are told."""
        for plan in plans:
            self._shown.update(plan.shown)
        self._steps = list(dict.fromkeys(step for plan in plans for step in plan.steps))
        for place, step in enumerate(self._steps, 1):
            self._places.setdefault(step.vertex, []).append(place)
        self._on_event(progress.Planned(len(self._shown)))
        self._announce(1)

    def begin(self, name: str) -> int:
        """Something outside of the graph starts, such as looking up a base image."""
        with self._lock:
            self._count += 1
            number = self._count
            self._begun[number] = time.monotonic()
            self._on_event(progress.VertexStarted(number, f"internal-{number}", name))
            return number

    def status(self, number: int, part: str, current: int = 0, name: str = "") -> None:
        """A part of what `begin` began is done; it has taken as long as that."""
        with self._lock:
            seconds = time.monotonic() - self._begun[number]
            self._on_event(
                progress.VertexStatus(
                    number, f"internal-{number}", part, current, seconds=seconds, name=name
                )
            )

    def end(self, number: int, name: str, error: str = "") -> None:
        with self._lock:
            seconds = time.monotonic() - self._begun.pop(number)
            self._on_event(
                progress.VertexDone(number, f"internal-{number}", name, seconds, error=error)
            )

    def started(self, vertex: Vertex[Result], cached: bool) -> None:
        with self._lock:
            container = "" if cached else getattr(vertex.op, "container", "")
            if self.reasons and not cached:
                self._ask_why(vertex)
            if vertex in self._shown and vertex not in self._numbers:
                self._show(vertex, self._shown[vertex])
            if container:
                self._containers[vertex] = container
                self._tell(vertex, lambda n: progress.StepRunning(n, container))

    def bring(self, vertex: Vertex[Result], stage: str, image: BaseImage, worker: Worker) -> None:
        """Has the layers of an image brought here, told as the vertex that begins with it."""
        from kobako.build.pulling import Pulling

        number = self._show(vertex, stage)
        error = ""
        try:
            told = Pulling(image, number, f"vertex-{number}", self._on_event, time.monotonic)
            worker.fetch_image(image, told)
        except BaseException as fault:
            error = str(fault) or type(fault).__name__
            raise
        finally:
            self._brought.add(vertex)
            self._end(vertex, time.monotonic() - self._begun[number], error=error)

    def _show(self, vertex: Vertex[Result], stage: str) -> int:
        """Tells the start of a vertex of the graph; its number."""
        self._count += 1
        number = self._numbers[vertex] = self._count
        self._begun[number] = time.monotonic()
        key = f"vertex-{number}"
        inputs = [self._numbers[needed] for needed in vertex.inputs if needed in self._numbers]
        self._on_event(
            progress.VertexStarted(
                number, key, vertex.name, stage, tuple(f"vertex-{n}" for n in inputs)
            )
        )
        image = getattr(vertex.op, "image", None)
        if image is not None:
            self._on_event(progress.VertexStatus(number, key, f"resolve {image.name}"))
        return number

    def _end(
        self, vertex: Vertex[Result], seconds: float, *, cached: bool = False, error: str = ""
    ) -> None:
        number = self._numbers.get(vertex)
        if number is not None:
            self._on_event(
                progress.VertexDone(number, f"vertex-{number}", vertex.name, seconds, cached, error)
            )

    def output(self, vertex: Vertex[Result], stream: int, data: bytes) -> None:
        with self._lock:
            number = self._numbers.get(vertex)
            if number is not None:
                seconds = time.monotonic() - self._begun[number]
                self._on_event(
                    progress.VertexOutput(number, f"vertex-{number}", stream, data, seconds)
                )
            self._tell(vertex, lambda n: progress.StepOutput(n, stream, data))

    def done(self, vertex: Vertex[Result], result: Result, seconds: float, cached: bool) -> None:
        with self._lock:
            self._images.results[vertex] = result
            self.cached[vertex] = cached
            if not cached:
                self._explain(vertex)
            if vertex not in self._brought:
                self._end(vertex, seconds, cached=cached)
            self._advance()

    def failed(self, vertex: Vertex[Result], error: BaseException, seconds: float) -> None:
        with self._lock:
            self._explain(vertex)
            self._end(vertex, seconds, error=str(error) or type(error).__name__)
            for place in self._places.get(vertex, ()):
                for event in self._held.pop(place, ()):
                    self._on_event(event)

    def ran(self) -> list[Vertex[Result]]:
        """The vertices that were carried out and have come to their end."""
        return [vertex for vertex, cached in self.cached.items() if not cached]

    def _ask_why(self, vertex: Vertex[Result]) -> None:
        for reasons in self.reasons:
            self._why[vertex] = reasons.why(vertex, self._images.results)
            if self._why[vertex]:
                break

    def _explain(self, vertex: Vertex[Result]) -> None:
        reason = self._why.pop(vertex, "")
        if reason:
            self._on_event(progress.Explained(vertex.name, reason))

    def _tell(self, vertex: Vertex[Result], event: Callable[[int], Event]) -> None:
        place = self._places.get(vertex, [0])[0]  # the others are FROMs of its stage
        if place == self._current:
            self._on_event(event(place))
        elif place:
            self._held.setdefault(place, []).append(event(place))

    def _announce(self, place: int) -> None:
        if place <= len(self._steps):
            self._on_event(
                progress.StepStarted(place, len(self._steps), self._steps[place - 1].text)
            )
            for event in self._held.pop(place, ()):
                self._on_event(event)

    def _advance(self) -> None:
        """Tells the end of every step that is done, as far as all before it are."""
        while self._current <= len(self._steps):
            step = self._steps[self._current - 1]
            if step.vertex not in self._images.results:
                return
            first = step.below is None or step.vertex is step.below.vertex
            cached = self.cached.get(step.vertex, False) and not first
            container = "" if first else self._containers.get(step.vertex, "")
            if not (first or cached or container) and step.commits_container:
                container = _intermediate()
                self._on_event(progress.StepRunning(self._current, container))
            self._on_event(progress.StepDone(self._current, self._image(step), cached, container))
            self._current += 1
            self._announce(self._current)

    def _image(self, step: Step) -> str:
        if step.below is None and step.base is None:
            return ""
        if self._current < len(self._steps):
            return self._images.id_after(step)
        return self._images.config(step).digest


def _intermediate() -> str:
    """The id classic output gives to the container a metadata instruction is committed from."""
    import os

    return os.urandom(32).hex()
