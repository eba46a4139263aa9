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
    from kobako.events import Event, OnEvent

_MANY = 500
"""Beyond so many steps the config of each, as long as all of them, is not made to be told."""


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
            if vertex in self._shown:
                self._count += 1
                number = self._numbers[vertex] = self._count
                self._begun[number] = time.monotonic()
                self._on_event(
                    progress.VertexStarted(
                        number,
                        f"vertex-{number}",
                        vertex.name,
                        self._shown[vertex],
                        tuple(
                            f"vertex-{self._numbers[needed]}"
                            for needed in vertex.inputs
                            if needed in self._numbers
                        ),
                    )
                )

            if container:
                self._containers[vertex] = container
                self._tell(vertex, lambda n: progress.StepRunning(n, container))

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
            number = self._numbers.get(vertex)
            if number is not None:
                self._on_event(
                    progress.VertexDone(
                        number, f"vertex-{number}", vertex.name, seconds, cached=cached
                    )
                )
            self._advance()

    def failed(self, vertex: Vertex[Result], error: BaseException, seconds: float) -> None:
        with self._lock:
            self._explain(vertex)
            number = self._numbers.get(vertex)
            if number is not None:
                message = str(error) or type(error).__name__
                self._on_event(
                    progress.VertexDone(
                        number, f"vertex-{number}", vertex.name, seconds, error=message
                    )
                )
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
        if len(self._steps) > _MANY and self._current < len(self._steps):
            return self._images.id_after(step)
        return self._images.config(step).digest


def _intermediate() -> str:
    """The id classic output gives to the container a metadata instruction is committed from."""
    import os

    return os.urandom(32).hex()
