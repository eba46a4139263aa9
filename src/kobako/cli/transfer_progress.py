"""Pulls and pushes as docker shows them: a line a layer, redrawn on a terminal, plain elsewhere."""

from __future__ import annotations

import sys

from kobako.events import LayerProgress, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from kobako.events import Event

_QUIET_ACTIONS = ("Downloading", "Extracting", "Importing", "Pushing")
"""Actions with a bar; on a plain stream only the first of each is a line worth printing."""


class Progress:
    """Used as a context manager around the transfer; itself an `OnEvent`, from any thread."""

    def __init__(self, *, quiet: bool = False, stderr: bool = False) -> None:
        import _thread

        self.lock = _thread.allocate_lock()
        self.quiet = quiet
        self.out = sys.stderr if stderr else sys.stdout
        self.live = not quiet and self.out.isatty()
        self.lines: dict[str, str] = {}
        self.said: set[tuple[str, str]] = set()
        self.painted = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self.lock:
            self.out.flush()

    def __call__(self, event: Event) -> None:
        if self.quiet:
            return
        with self.lock:
            if isinstance(event, Status):
                self.out.write(event.message + "\n")
                self.lines.clear()  # what was drawn above stays above
                self.said.clear()  # and the next image may share its layers
            elif isinstance(event, LayerProgress):
                if self.live:
                    self.draw(event)
                else:
                    self.plain(event)
            self.out.flush()

    def plain(self, event: LayerProgress) -> None:
        if event.action in _QUIET_ACTIONS or (event.id, event.action) in self.said:
            return
        self.said.add((event.id, event.action))
        self.out.write(f"{event.id}: {event.action}\n" if event.id else event.action + "\n")

    def draw(self, event: LayerProgress) -> None:
        """Redraw the one line of this layer; the cursor rests below the last line."""
        import os
        import time

        try:
            columns, rows = os.get_terminal_size(self.out.fileno())
        except OSError:
            columns, rows = 0, 0
        columns, rows = columns or 80, rows or 24
        text = f"{event.id}: {event.action}" if event.id else event.action
        if event.action in _QUIET_ACTIONS and event.total:
            now = time.monotonic()
            if now - self.painted < 0.04 and event.current < event.total:
                return
            self.painted = now
            text += " " + bar(event.current, event.total, columns)
        text = text[: columns - 1]  # a line that wraps would be two to go up
        if event.id not in self.lines:
            self.lines[event.id] = text
            self.out.write(text + "\n")
            return
        if self.lines[event.id] == text:
            return
        self.lines[event.id] = text
        up = len(self.lines) - list(self.lines).index(event.id)
        if up >= rows:
            return  # scrolled away: what is there now is another line
        self.out.write(f"\x1b[{up}A\r\x1b[2K{text}\x1b[{up}B\r")


def bar(current: int, total: int, columns: int) -> str:
    """`[=====>      ]  1.2MB/3.4MB`, 50 wide; like docker the sizes alone on narrow terminals."""
    from kobako.cli import units

    if columns <= 110:
        return f"{units.size(current):>8}/{units.size(total)}"
    filled = min(50, current * 50 // total)
    line = "=" * filled + (">" if filled < 50 else "")
    return f"[{line:<50}]  {units.size(current)}/{units.size(total)}"
