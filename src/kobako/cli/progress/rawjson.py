"""buildx's `--progress=rawjson`: a SolveStatus document a line, for programs."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import time

from kobako.build import progress as events
from kobako.cli.progress.base import Owners, Progress, exported, is_finished
from kobako.events import LayerProgress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TextIO

    from kobako.events import Event

_FILE = "[internal] load build definition"
"""The vertex that warnings belong to."""


class RawJson(Progress):
    """Keys and times as BuildKit's client writes them (client/graph.go): `vertexes` when one
    starts and ends, `statuses` of transfers, `logs` and `warnings`; bytes are base64."""

    wants_checks = True

    def __init__(self, out: TextIO | None = None, clock: Callable[[], int] = time.time_ns) -> None:
        super().__init__()
        self.out = sys.stderr if out is None else out
        self.clock = clock
        self.open: dict[int, dict[str, Any]] = {}
        self.digests: dict[str, str] = {}
        self.numbers: dict[int, str] = {}
        self.begun: dict[str, str] = {}
        self.owners = Owners()
        self.file = ""
        self.highest = 0

    def show(self, event: Event) -> None:
        now = moment(self.clock())
        if isinstance(event, events.VertexStarted):
            self._started(event, now)
        elif isinstance(event, events.VertexOutput):
            log = {
                "vertex": self.numbers.get(event.number, ""),
                "stream": event.stream,
                "data": base64.b64encode(event.data).decode(),
                "timestamp": now,
            }
            self._write({"logs": [log]})
        elif isinstance(event, events.VertexDone):
            self._done(event, now)
        elif isinstance(event, events.VertexStatus):
            self._part(event, now)
        elif isinstance(event, LayerProgress):
            self._status(event, now)
        elif isinstance(event, events.CheckWarning):
            lines = {"start": {"line": event.start}, "end": {"line": event.end}}
            short = f"{event.rule}: {event.detail} (line {event.start})"
            self._warn(short, now, url=event.url, detail=event.description, range=[lines])
        elif isinstance(event, events.Warning):
            place = {"line": event.line}
            found = [{"start": place, "end": place}] if event.line else []
            self._warn(event.message, now, range=found)

    def _started(self, event: events.VertexStarted, now: str) -> None:
        self.highest = max(self.highest, event.number)
        vertex = self._vertex(event.name, event.vertex)
        inputs = [self.digests[i] for i in event.inputs if i in self.digests]
        self.digests[event.vertex] = self.numbers[event.number] = vertex["digest"]
        if inputs:
            vertex["inputs"] = inputs
        vertex["name"] = event.name
        vertex["started"] = now
        self.open[event.number] = vertex
        if not self.file and event.name.startswith(_FILE):
            self.file = vertex["digest"]
        self.owners.started(event.number, event.name)
        self._write({"vertexes": [vertex]})

    def _vertex(self, name: str, key: str) -> dict[str, Any]:
        return {"digest": "sha256:" + hashlib.sha256(f"{key} {name}".encode()).hexdigest()}

    def _done(self, event: events.VertexDone, now: str) -> None:
        vertex = self.open.pop(event.number, None)
        if vertex is None:
            return
        self.owners.done(event.number)
        vertex["completed"] = now
        if event.cached:
            vertex["cached"] = True
        if event.error:
            vertex["error"] = event.error
        self._write({"vertexes": [vertex]})

    def _status(self, event: LayerProgress, now: str) -> None:
        number = self.owners.of(event.id)
        key = event.id or event.action
        status: dict[str, Any] = {"id": key, "vertex": self.numbers.get(number, "")}
        status["name"] = event.action
        if event.total:
            status["total"] = event.total
        status["current"] = event.current
        status["timestamp"] = now
        status["started"] = self.begun.setdefault(key, now)
        if is_finished(event.action):
            status["completed"] = now
        self._write({"statuses": [status]})

    def _part(self, event: events.VertexStatus, now: str) -> None:
        status: dict[str, Any] = {"id": event.id, "vertex": self.numbers.get(event.number, "")}
        if event.name:
            status["name"] = event.name
        if event.total:
            status["total"] = event.total
        status["current"] = event.current
        status["timestamp"] = now
        key = f"{event.number} {event.id}"
        if key not in self.begun:
            self.begun[key] = moment(self.clock() - int(event.seconds * 1e9))
        status["started"] = self.begun[key]
        if event.done:
            status["completed"] = now
        self._write({"statuses": [status]})

    def _warn(self, short: str, now: str, *, url: str = "", detail: str = "", **more: Any) -> None:
        if not self.file:
            vertex = self._vertex(_FILE, "file") | {"name": _FILE, "started": now, "completed": now}
            self.file = vertex["digest"]
            self._write({"vertexes": [vertex]})
        warning: dict[str, Any] = {"vertex": self.file, "level": 1, "short": _encoded(short)}
        if detail:
            warning["detail"] = [_encoded(detail)]
        if url:
            warning["url"] = url
        self._write({"warnings": [warning | {key: value for key, value in more.items() if value}]})

    def finished(self, image_id: str, names: tuple[str, ...]) -> None:
        with self.lock:
            number = self.highest + 1
            title = "exporting to image"
            now = moment(self.clock())
            self._started(events.VertexStarted(number, "export", title), now)
            for text in exported(image_id, names):
                times = {"current": 0, "timestamp": now, "started": now, "completed": now}
                self._write({"statuses": [{"id": text, "vertex": self.numbers[number], **times}]})
            self._done(events.VertexDone(number, "export", title, 0.0), now)

    def close(self) -> None:
        """What still runs was ended by a fault or the person."""
        with self.lock:
            now = moment(self.clock())
            for number in list(self.open):
                self._done(events.VertexDone(number, "", "", 0.0, error="canceled"), now)

    def _write(self, document: dict[str, Any]) -> None:
        self.out.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
        self.out.flush()


def moment(nanoseconds: int) -> str:
    """RFC 3339 with what nanoseconds there are."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{text}{fraction}Z"


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()
