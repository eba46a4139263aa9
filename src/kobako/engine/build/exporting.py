"""The vertices a build shows after its graph is done: "exporting to image" and the like."""

from __future__ import annotations

import time

from kobako.build import progress
from kobako.events import LayerProgress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from kobako.events import Event, OnEvent


class Exporting:
    """Passes a build's events on and numbers its own after them."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._last = 0

    @property
    def last(self) -> int:
        """The highest number of a vertex so far."""
        return self._last

    def event(self, event: Event) -> None:
        """The `OnEvent` of the build itself."""
        if isinstance(event, progress.VertexStarted):
            self._last = max(self._last, event.number)
        self._on_event(event)

    def vertex(self, title: str) -> ExportVertex:
        """A context manager: one more vertex under way."""
        self._last += 1
        return ExportVertex(self._on_event, self._last, title)


class ExportVertex:
    """One output being made. `event` takes what other rooms report of it."""

    def __init__(self, on_event: OnEvent, number: int, title: str) -> None:
        self.event = on_event
        self._number = number
        self._id = f"export-{number}"
        self._title = title
        self._begun = time.monotonic()

    def line(self, text: str) -> None:
        """Something that was done for it, in no time."""
        self.event(progress.VertexStatus(self._number, self._id, text))

    def part(self, text: str) -> ExportPart:
        """A context manager: something that is done for it, and takes time."""
        return ExportPart(self, text)

    def told(self, text: str, current: int, total: int, seconds: float, *, done: bool) -> None:
        """Where a part stands."""
        self.event(
            progress.VertexStatus(self._number, self._id, text, current, total, seconds, done)
        )

    def warn(self, text: str) -> None:
        """Something the person should know."""
        self.event(progress.Warning(text))

    def __enter__(self) -> Self:
        self.event(progress.VertexStarted(self._number, self._id, self._title))
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        seconds = time.monotonic() - self._begun
        shown = "" if error is None else str(error) or type(error).__name__
        self.event(progress.VertexDone(self._number, self._id, self._title, seconds, error=shown))


class ExportPart:
    """A part of an output. `event` takes what is reported of blobs meanwhile, and tells their sum;
    what fails is not told as done."""

    def __init__(self, vertex: ExportVertex, text: str) -> None:
        self._vertex = vertex
        self._text = text
        self._begun = 0.0
        self._blobs: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        self._tell(done=False)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._tell(done=True)

    def event(self, event: Event) -> None:
        """From any thread, as often as it likes."""
        if isinstance(event, LayerProgress):
            if event.total:
                self._blobs[event.id] = event.current, event.total
            self._tell(done=False)

    def _tell(self, *, done: bool) -> None:
        sizes = list(self._blobs.values())
        total = sum(size for _, size in sizes)
        current = total if done else sum(part for part, _ in sizes)
        seconds = time.monotonic() - self._begun
        self._vertex.told(self._text, current, total, seconds, done=done)
