"""The vertices a build shows after its graph is done: "exporting to image" and the like."""

from __future__ import annotations

import time

from kobako.build import progress

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
        """Something that was done for it."""
        seconds = time.monotonic() - self._begun
        data = text.encode("utf-8", "surrogateescape") + b"\n"
        self.event(progress.VertexOutput(self._number, self._id, 1, data, seconds))

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
