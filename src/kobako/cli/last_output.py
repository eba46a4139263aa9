"""What a failed step said last, for a display that shows no output."""

from __future__ import annotations

import sys

from kobako.build.progress import VertexDone, VertexOutput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.events import Event, OnEvent

_LINES, _BYTES = 20, 8192


class LastOutput:
    """Remembers the end of what each step says, and hands everything on."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._said: dict[int, bytes] = {}
        self._failed: VertexDone | None = None

    def event(self, event: Event) -> None:
        if isinstance(event, VertexOutput):
            said = self._said.get(event.number, b"") + event.data
            self._said[event.number] = said[-_BYTES:]
        elif isinstance(event, VertexDone):
            if event.error and self._failed is None:
                self._failed = event
            else:
                self._said.pop(event.number, None)
        self._on_event(event)

    def show(self) -> None:
        """The failed step and its last lines, as BuildKit shows them; nothing without output."""
        if self._failed is None:
            return
        text = self._said.get(self._failed.number, b"").decode(errors="replace")
        lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")[-_LINES:]
        if lines == [""]:
            return
        body = "".join(f"{line}\n" for line in lines)
        sys.stdout.flush()
        sys.stderr.write(f"------\n > {self._failed.name}:\n{body}------\n")
        sys.stderr.flush()
