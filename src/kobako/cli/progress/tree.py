"""A live tree like buildx's: this side of it, which only tells the painter what happens."""

from __future__ import annotations

import marshal
import os
import sys
import time

from kobako.build import progress as events
from kobako.cli.progress.base import Owners, Progress, exported, is_finished, warning
from kobako.cli.progress.plain import is_canceled
from kobako.events import LayerProgress, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.events import Event

_PIECE = 8192
"""So much of a step's output is enough to know what its last lines look like."""
_LOG = 2 << 20
"""So much of a running step's output is kept, to be shown if it fails."""
_CLIPPED = b"[output clipped, log limit 2MiB reached]\n"


class Tree(Progress):
    """Nothing here waits for the terminal: the pipe to the painter does not block, and where it is
    full, output is not shown and the rest is told later."""

    def __init__(self, terminal: int, *, color: bool) -> None:
        super().__init__()
        self.terminal = terminal
        self.logs: dict[int, bytearray] = {}
        self.names: dict[int, str] = {}
        self.failed: list[tuple[str, bytes]] = []
        self.owners = Owners()
        self.backlog = bytearray()
        self.planned = False
        self.highest = 0
        self.definition = 0
        self.painter, self.pipe = _fork(terminal, color)

    def show(self, event: Event) -> None:
        if isinstance(event, events.VertexStarted):
            self._started(event.number, event.name, event.vertex.startswith("vertex-"))
        elif isinstance(event, events.VertexOutput):
            self._output(event.number, event.data)
        elif isinstance(event, events.VertexDone):
            self._done(event)
        elif isinstance(event, LayerProgress):
            number = self.owners.of(event.id)
            sizes = event.current, event.total
            ended = is_finished(event.action)
            self._tell(("move", number, event.id, event.action, *sizes, ended), spare=not ended)
        elif isinstance(event, events.VertexStatus):
            self._tell(
                ("move", event.number, event.id, "", event.current, event.total, event.done),
                spare=not event.done,
            )
        elif isinstance(event, Status):
            self._tell(("move", self.owners.of(""), event.message, "", 0, 0, True))
        elif isinstance(event, events.Planned):
            self._tell(("plan", event.vertices))
        elif isinstance(event, events.CheckWarning):
            text = f"WARN: {event.rule}: {event.detail} (line {event.start})"
            self._tell(("move", self.definition, text, "", 0, 0, True))
        elif isinstance(event, events.Warning):
            self._tell(("warn", warning(event)))

    def _started(self, number: int, name: str, planned: bool) -> None:
        self.highest = max(self.highest, number)
        self.names[number] = name
        if name.startswith("[internal] load build definition"):
            self.definition = self.definition or number
        self.owners.started(number, name)
        self._tell(("start", number, name, time.monotonic(), planned))

    def _output(self, number: int, data: bytes) -> None:
        log = self.logs.setdefault(number, bytearray())
        log += data
        if len(log) > 2 * _LOG:
            del log[:-_LOG]
        self._tell(("out", number, data[-_PIECE:]), spare=True)

    def _done(self, event: events.VertexDone) -> None:
        log = self.logs.pop(event.number, bytearray())
        name = self.names.pop(event.number, event.name)
        self.owners.done(event.number)
        mark = "CACHED" if event.cached else ""
        if event.error:
            mark = "CANCELED" if is_canceled(event.error) else "ERROR"
            if mark == "ERROR":
                clipped = _CLIPPED if len(log) > _LOG else b""
                self.failed.append((name, clipped + bytes(log[-_LOG:])))
        self._tell(("done", event.number, event.seconds, mark))

    def _tell(self, message: tuple[Any, ...], *, spare: bool = False) -> None:
        """A message to the painter; a `spare` one is left out where it does not keep up."""
        if self.pipe < 0 or (spare and self.backlog):
            return
        body = marshal.dumps(message)
        self.backlog += len(body).to_bytes(4, "little") + body
        self._flush()

    def _flush(self) -> None:
        try:
            while self.backlog:
                del self.backlog[: os.write(self.pipe, self.backlog)]
        except BlockingIOError:
            pass
        except OSError:  # the painter has ended: the terminal is gone
            os.close(self.pipe)
            self.pipe = -1

    def finished(self, image_id: str, names: tuple[str, ...]) -> None:
        with self.lock:
            number = self.highest + 1
            self._started(number, "exporting to image", False)
            for text in exported(image_id, names):
                self._tell(("move", number, text, "", 0, 0, True))
            self._tell(("done", number, 0.0, ""))

    def close(self) -> None:
        """The last frame is painted and the terminal given back when this returns."""
        with self.lock:
            if self.painter:
                if self.pipe >= 0:
                    os.set_blocking(self.pipe, True)
                    self._tell(("end",))
                if self.pipe >= 0:
                    os.close(self.pipe)
                    self.pipe = -1
                try:
                    os.waitpid(self.painter, 0)
                except ChildProcessError:
                    pass
                self.painter = 0
            for name, log in self.failed:
                self._print_log(name, log)
            self.failed = []

    def _print_log(self, name: str, log: bytes) -> None:
        """What a failed step said, so that it is left on the terminal; without what could harm."""
        from kobako.cli.progress.cells import printable

        shown = [printable(line.rstrip("\r").rpartition("\r")[2]) for line in
                 _plain(log).split("\n")]  # fmt: skip
        while shown and not shown[-1]:
            shown.pop()
        text = "".join(f"{line}\n" for line in shown)
        sys.stderr.write(f"------\n > {printable(name)}:\n{text}------\n")
        sys.stderr.flush()


def _plain(log: bytes) -> str:
    """Text without control sequences."""
    import re

    text = log.decode("utf-8", "replace")
    return re.sub(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\)|[ -/]*[0-~])", "", text)


def _fork(terminal: int, color: bool) -> tuple[int, int]:
    """(the painter's process id, the pipe to it)."""
    read, write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            os.close(write)
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, 0)
            os.dup2(nothing, 1)
            from kobako.cli.progress import painter

            painter.main(read, terminal, parent, color=color)
        finally:
            os._exit(1)
    os.close(read)
    os.set_blocking(write, False)
    return child, write
