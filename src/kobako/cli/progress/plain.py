"""buildx's `--progress=plain`: numbered vertices, each output line with the vertex's number."""

from __future__ import annotations

import sys
import time

from kobako.build import progress as events
from kobako.cli.progress.base import Owners, Progress, exported, is_finished, warning
from kobako.events import LayerProgress, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from kobako.events import Event

_DWELL = 1.0
"""So many seconds the talk stays with one vertex before another that is under way may interrupt."""
_KEPT = 10
"""Lines of a step that are told again when it failed, and so many bytes at most."""
_TAIL = 1 << 16
_STEP, _PAUSE, _PATIENCE = 0.05, 0.2, 5.0
"""A transfer is told of anew when this part of it has come and so many seconds have gone, or after
so many without that."""
_DEFINITION = "[internal] load build definition"
_EARLY = ("[internal] load metadata", "[internal] load .dockerignore")
"""What happens while the checks' warnings, which belong to the definition, are still to come."""


class _Vertex:
    """One vertex: what it said that is not shown yet, and its last lines."""

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.waiting: list[bytes] = []
        self.partial = False
        self.tail = b""


class Plain(Progress):
    """Lines to standard error. What a vertex says while the talk is of another one waits for its
    turn, not much longer than `_DWELL` (the build tells when nothing else happens); nothing is
    lost."""

    def __init__(
        self, out: BinaryIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self.out = sys.stderr.buffer if out is None else out
        self.clock = clock
        self.open: dict[int, _Vertex] = {}
        self.current: _Vertex | None = None
        self.since = 0.0
        self.first = True
        self.fresh = True
        self.highest = 0
        self.owners = Owners()
        self.told: dict[str, tuple[float, int]] = {}
        self.begun: dict[str, float] = {}
        self.failed: list[_Vertex] = []
        self.definition: _Vertex | None = None
        self.held: list[Event] = []
        self.holding = False

    def show(self, event: Event) -> None:
        if isinstance(event, events.CheckWarning):
            self._check(event)
            return
        if self.holding:
            if not isinstance(event, events.VertexStarted) or event.name.startswith(_EARLY):
                self.held.append(event)
                failed = isinstance(event, events.VertexDone) and event.error
                if not failed and not isinstance(event, (LayerProgress, events.Warning)):
                    return
                event = self.held.pop()
            self._release()
        elif (
            isinstance(event, events.VertexDone)
            and self.definition is not None
            and event.number == self.definition.number
        ):
            self.held.append(event)
            self.holding = True
            return
        self._show(event)

    def _release(self) -> None:
        """What was held back for warnings to come first."""
        self.holding = False
        held, self.held = self.held, []
        for event in held:
            self._show(event)

    def _check(self, event: events.CheckWarning) -> None:
        """A warning belongs to the file's vertex, which is told of again where it has ended."""
        text = f"WARN: {event.rule}: {event.detail} (line {event.start})\n".encode()
        vertex = self.definition
        if vertex is None:
            return
        ended = vertex.number not in self.open
        vertex.waiting.append(text)
        self._turn(vertex)
        if ended:
            self._end(vertex, "DONE 0.0s")
        self.out.flush()

    def _show(self, event: Event) -> None:
        if isinstance(event, events.VertexStarted):
            self.highest = max(self.highest, event.number)
            self.open[event.number] = _Vertex(event.number, event.name)
            self.owners.started(event.number, event.name)
            if self.definition is None and event.name.startswith(_DEFINITION):
                self.definition = self.open[event.number]
            if self.current is None:
                self._turn(self.open[event.number])
        elif isinstance(event, events.VertexOutput):
            self._output(event)
        elif isinstance(event, events.VertexDone):
            self._done(event)
        elif isinstance(event, events.VertexStatus):
            key = f"{event.number} {event.id}"
            sizes = event.current, event.total
            if self._worth_telling(key, sizes, event.done):
                self._say(event.number, _status(event.id, sizes, event.seconds, event.done))
        elif isinstance(event, LayerProgress):
            self._transfer(event)
        elif isinstance(event, events.Waiting):
            waiting = next((v for v in self.open.values() if v.waiting), None)
            if waiting is not None:
                self._maybe_turn(waiting)
        elif isinstance(event, Status):
            self._say(self.owners.of(""), event.message)
        elif isinstance(event, events.Warning):
            self._leave()
            self._put(f"{'' if self.first else chr(10)}WARNING: {warning(event)}\n")
            self.first = False
        else:
            return
        self.out.flush()

    def _output(self, event: events.VertexOutput) -> None:
        vertex = self.open.get(event.number)
        if vertex is None or not event.data:
            return
        digits = 3 if event.seconds < 10 else 2 if event.seconds < 100 else 1
        stamp = f"{event.seconds:.{digits}f} ".encode()
        data = event.data.replace(b"\r\n", b"\n")
        lines = data.split(b"\n")
        stamped = (
            [lines[0] if vertex.partial else stamp + lines[0]] if lines[0] or lines[1:] else []
        )
        stamped += [stamp + line for line in lines[1:-1]]
        if lines[1:] and lines[-1]:
            stamped.append(stamp + lines[-1])
        text = b"\n".join(stamped) + (b"\n" if len(lines) > 1 and not lines[-1] else b"")
        vertex.partial = not text.endswith(b"\n")
        vertex.tail = (vertex.tail + text)[-_TAIL:]
        vertex.waiting.append(text)
        self._maybe_turn(vertex)

    def _maybe_turn(self, vertex: _Vertex) -> None:
        """Show what waits, of this vertex or of the one whose turn it is."""
        left = self.since + _DWELL - self.clock()
        if self.current is None or vertex is self.current or left <= 0:
            self._turn(vertex)
        other = next((v for v in self.open.values() if v.waiting), None)
        if left <= 0 and other is not None and other is not vertex:
            self._turn(other)

    def _turn(self, vertex: _Vertex) -> None:
        """Let a vertex speak: its header where the talk was of another one, then what waits."""
        if vertex is not self.current:
            self._leave()
            if not self.first:
                self._put("\n")
            self.first = False
            self._put(f"#{vertex.number} {_line(vertex.name)}\n")
            self.current = vertex
            self.since = self.clock()
            self.fresh = True
        for text in vertex.waiting:
            self._write(vertex, text)
        vertex.waiting = []

    def _write(self, vertex: _Vertex, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        lead = f"#{vertex.number} ".encode()
        for line in lines:
            self.out.write((lead if self.fresh else b"") + line + b"\n")
            self.fresh = True
        if rest:
            self.out.write((lead if self.fresh else b"") + rest)
            self.fresh = False

    def _put(self, text: str) -> None:
        self.out.write(text.encode("utf-8", "surrogateescape"))

    def _leave(self) -> None:
        """The talk turns away from a vertex that is not done."""
        if self.current is None:
            return
        if not self.fresh:
            self._put("\n")
            self.fresh = True
        self._put(f"#{self.current.number} ...\n")
        self.current = None

    def _say(self, number: int, text: str) -> None:
        """A line of a vertex, with a number but no time."""
        vertex = self.open.get(number)
        if vertex is None:
            return
        vertex.waiting.append(("\n" if vertex.partial else "").encode() + text.encode() + b"\n")
        vertex.partial = False
        self._maybe_turn(vertex)

    def _done(self, event: events.VertexDone) -> None:
        vertex = self.open.get(event.number)
        if vertex is None:
            return
        self._turn(vertex)
        if event.error:
            end = "CANCELED" if is_canceled(event.error) else f"ERROR: {_line(event.error)}"
            if end != "CANCELED":
                self.failed.append(vertex)
        else:
            end = "CACHED" if event.cached else f"DONE {event.seconds:.1f}s"
        self._end(vertex, end)
        del self.open[event.number]
        self.owners.done(event.number)
        waiting = next((v for v in self.open.values() if v.waiting), None)
        if waiting is not None:
            self._turn(waiting)

    def _end(self, vertex: _Vertex, end: str) -> None:
        if not self.fresh:
            self._put("\n")
            self.fresh = True
        self._put(f"#{vertex.number} {end}\n")
        self.current = None

    def _transfer(self, event: LayerProgress) -> None:
        begun = self.begun.setdefault(event.id, self.clock())
        ended = is_finished(event.action)
        sizes = event.current, event.total
        if self._worth_telling(f"{event.id} {event.action}", sizes, ended):
            text = " ".join(word for word in (event.id, event.action) if word)
            seconds = self.clock() - begun
            self._say(self.owners.of(event.id), _status(text, sizes, seconds, ended))

    def _worth_telling(self, key: str, sizes: tuple[int, int], ended: bool) -> bool:
        """Whether enough has happened since the last line of a transfer; its end is told once."""
        now = self.clock()
        current, total = sizes
        when, before = self.told.get(key, (0.0, -1))
        if before >= 0 and not ended:
            moved = (current - before) / total if total else 0
            if now - when < (_PAUSE if moved >= _STEP else _PATIENCE):
                return False
        if ended and f"{key} done" in self.told:
            return False
        self.told[f"{key} done" if ended else key] = now, current
        return True

    def finished(self, image_id: str, names: tuple[str, ...]) -> None:
        with self.lock:
            self._release()
            number = self.highest + 1
            head = "" if self.first else "\n"
            done = (f"{text} done" for text in exported(image_id, names))
            lines = ["exporting to image", *done, "DONE 0.0s"]
            self._put(head + "".join(f"#{number} {line}\n" for line in lines))
            self.first = False
            self.out.flush()

    def close(self) -> None:
        with self.lock:
            self._release()
            ordered = sorted(self.open.values(), key=lambda v: v is not self.current)
            for vertex in ordered:  # what still runs was ended by a fault or the person
                self._turn(vertex)
                self._end(vertex, "CANCELED")
            self.open = {}
            for vertex in self.failed:
                lines = vertex.tail.splitlines(keepends=True)[-_KEPT:]
                end = b"" if not lines or lines[-1].endswith(b"\n") else b"\n"
                self._put(f"------\n > {_line(vertex.name)}:\n")
                self.out.write(b"".join(lines) + end + b"------\n")
            self.failed = []
            self.out.flush()


def _status(text: str, sizes: tuple[int, int], seconds: float, done: bool) -> str:
    """`text 1.05MB / 3.37MB 0.2s done`"""
    current, total = sizes
    words = [text]
    if total:
        words.append(f"{amount(current)} / {amount(total)}")
    elif current:
        words.append(amount(current))
    if seconds > 0.01:
        words.append(f"{seconds:.1f}s")
    return " ".join([*words, "done"] if done else words)


def is_canceled(error: str) -> bool:
    """Whether a vertex only ended because another one failed, or the person interrupted."""
    return error.endswith(("canceled", "cancelled", "KeyboardInterrupt"))


def amount(count: float) -> str:
    """1.05MB"""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.2f}{unit}" if unit != "B" else f"{int(count)}B"
        count /= 1000
    return f"{count:.2f}TB"


def _line(text: str) -> str:
    """A text that is one line, whatever a Dockerfile put into it."""
    return "".join(c if c.isprintable() else " " for c in text)
