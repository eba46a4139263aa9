"""What is shown of a build: its progress while it runs, then what had to wait for its end."""

from __future__ import annotations

import sys

from kobako.build.progress import CheckWarning
from kobako.cli.progress import style as styles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kobako.cli.progress.base import Progress
    from kobako.events import Event

_QUIET = ("quiet", "none", "rawjson")
"""What is shown in these styles is not followed by words for a person."""


class Display:
    """A context manager around the build, which tells its events to `on_event`.

    When the build has ended the terminal is given back first; then come the last words of a failed
    step, where the style showed no output, the reasons asked for by `explain`, and of a build that
    failed the warnings of the checks. Of one that did not its caller lets them `warn`.
    """

    def __init__(self, style: str, environ: Mapping[str, str], *, explain: bool = False) -> None:
        self.style = style
        self._progress = styles.make(style, environ)
        self._warnings = _CheckWarnings(self._progress)
        self.on_event = self._warnings.event
        self._explanation = self._last = None
        if explain:
            from kobako.cli.build_explanation import Explanation

            self._explanation = Explanation(self.on_event)
            self.on_event = self._explanation.event
        if style == "quiet":  # the others leave it on the screen themselves
            from kobako.cli.last_output import LastOutput

            self._last = LastOutput(self.on_event)
            self.on_event = self._last.event

    def __enter__(self) -> Display:
        return self

    def __exit__(self, kind: type[BaseException] | None, *fault: object) -> None:
        self._progress.close()
        if self._last is not None:
            self._last.show()
        if self._explanation is not None:
            self._explanation.show()
        if kind is not None:
            self.warn()

    @property
    def quiet(self) -> bool:
        """Whether nobody wants to read what came of the build."""
        return self.style in _QUIET

    def finished(self, image_id: str, names: tuple[str, ...]) -> None:
        """The result was kept as an image of the store; told inside the block."""
        self._progress.finished(image_id, names)

    def warn(self) -> None:
        """The warnings of the checks, unless the style shows no such words."""
        if not self.quiet:
            self._warnings.show()


class _CheckWarnings:
    """Remembers the warnings: they come once more after what shows the progress, as in buildx."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._found: list[CheckWarning] = []

    def event(self, event: Event) -> None:
        if isinstance(event, CheckWarning) and not self._progress.wants_checks:
            self._found.append(event)
        self._progress.event(event)

    def show(self) -> None:
        """Count, rules and lines on standard error; nothing where there are none."""
        if not self._found:
            return
        count = "1 warning" if len(self._found) == 1 else f"{len(self._found)} warnings"
        lines = [f" - {w.rule}: {w.detail} (line {w.start})\n" for w in self._found]
        sys.stdout.flush()
        sys.stderr.write(f"\n {count} found (use --check to expand):\n" + "".join(lines))
        sys.stderr.flush()
