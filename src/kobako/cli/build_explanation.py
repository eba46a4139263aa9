"""--explain: why steps ran, told at the end of a build."""

from __future__ import annotations

import sys

from kobako.build.progress import Explained

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.events import Event, OnEvent


class Explanation:
    """Keeps the reasons back from what shows the progress: they come after it."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._found: list[Explained] = []

    def event(self, event: Event) -> None:
        if isinstance(event, Explained):
            self._found.append(event)
        else:
            self._on_event(event)

    def show(self) -> None:
        """A line for each step that ran, on standard error."""
        lines = [f"{one.name}: ran because {one.reason}\n" for one in self._found]
        sys.stdout.flush()
        sys.stderr.write("\n" + ("".join(lines) or "Every step was in the cache.\n"))
        sys.stderr.flush()
