"""The build checks' warnings at the end of a build, as buildx shows them."""

from __future__ import annotations

import sys

from kobako.build.progress import CheckWarning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.progress.base import Progress
    from kobako.events import Event


class CheckWarnings:
    """Keeps the warnings back from what shows the progress: they come after it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.found: list[CheckWarning] = []

    def event(self, event: Event) -> None:
        if isinstance(event, CheckWarning) and not self._progress.wants_checks:
            self.found.append(event)
        else:
            self._progress.event(event)

    def show(self) -> None:
        """Count, rules and lines on standard error; nothing where there are none."""
        if not self.found:
            return
        count = "1 warning" if len(self.found) == 1 else f"{len(self.found)} warnings"
        lines = [f" - {w.rule}: {w.detail} (line {w.start})\n" for w in self.found]
        sys.stdout.flush()
        sys.stderr.write(f"\n {count} found (use --check to expand):\n" + "".join(lines))
        sys.stderr.flush()
