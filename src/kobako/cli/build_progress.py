"""A build's events as text: classic as the tutorial shows it, plain as buildx, or a live tree."""

from __future__ import annotations

import os
import sys

from kobako.build import progress as events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.events import Event


def select(style: str) -> Progress:
    """The renderer for `--progress STYLE`."""
    if style in ("auto", "classic"):
        return Classic()
    if style == "tty" and sys.stderr.isatty():
        return Tree()
    if style == "quiet":
        return Progress()
    return Plain()


class Progress:
    """Says nothing but warnings; the base of the others. `event` may come from several threads."""

    def __init__(self) -> None:
        import _thread

        self.lock = _thread.allocate_lock()

    def event(self, event: Event) -> None:
        with self.lock:
            self.show(event)

    def show(self, event: Event) -> None:
        if isinstance(event, events.Warning):
            where = f" (line {event.line})" if event.line else ""
            print(f"WARNING: {event.message}{where}", file=sys.stderr)

    def finished(self, image_id: str, names: tuple[str, ...]) -> None:
        """The closing lines."""

    def close(self) -> None:
        """Called in every case, before anything else is printed."""


class Classic(Progress):
    """docker's first builder: Step 1/4, Running in, Removing intermediate container."""

    def show(self, event: Event) -> None:
        out = sys.stdout
        if isinstance(event, events.ContextScanned):
            from kobako.cli import units

            size = units.size(event.size)
            out.write(f"Sending build context to kobako  {size}\n")
        elif isinstance(event, events.StepStarted):
            out.write(f"Step {event.number}/{event.total} : {event.text}\n")
        elif isinstance(event, events.StepRunning):
            out.write(f" ---> Running in {event.container[:12]}\n")
        elif isinstance(event, events.StepOutput):
            out.flush()
            stream = sys.stderr if event.stream == 2 else sys.stdout
            stream.buffer.write(event.data)
            stream.buffer.flush()
        elif isinstance(event, events.StepDone):
            if event.cached:
                out.write(" ---> Using cache\n")
            elif event.container:
                out.write(f"Removing intermediate container {event.container[:12]}\n")
            out.write(f" ---> {event.image.partition(':')[2][:12]}\n")
        else:
            super().show(event)
            return
        out.flush()


class Plain(Progress):
    """buildx's --progress=plain, on standard error."""

    def __init__(self) -> None:
        super().__init__()
        self.last = 0
        self.partial: dict[tuple[int, int], bytes] = {}

    def show(self, event: Event) -> None:
        err = sys.stderr
        if isinstance(event, events.VertexStarted):
            self.head(event.number)
            err.write(f"#{event.number} {event.name}\n")
        elif isinstance(event, events.VertexOutput):
            self.head(event.number)
            key = (event.number, event.stream)
            *lines, rest = (self.partial.pop(key, b"") + event.data).split(b"\n")
            self.partial[key] = rest
            for line in lines:
                text = line.decode(errors="replace").rstrip("\r")
                err.write(f"#{event.number} {event.seconds:.3f} {text}\n")
        elif isinstance(event, events.VertexDone):
            self.head(event.number)
            for stream in (1, 2):
                rest = self.partial.pop((event.number, stream), b"")
                if rest:
                    err.write(f"#{event.number} {rest.decode(errors='replace')}\n")
            if event.error:
                err.write(f"#{event.number} ERROR: {event.error}\n")
            elif event.cached:
                err.write(f"#{event.number} CACHED\n")
            else:
                err.write(f"#{event.number} DONE {event.seconds:.1f}s\n")
        else:
            super().show(event)
        err.flush()

    def head(self, number: int) -> None:
        """A blank line where the talk turns to another vertex."""
        if self.last not in (0, number):
            sys.stderr.write("\n")
        self.last = number

    def finished(self, image_id: str, names: tuple[str, ...]) -> None:
        lines = [f"writing image {image_id} done", *(f"naming to {n} done" for n in names)]
        sys.stderr.write("\n" + "".join(f"#{self.last + 1} {line}\n" for line in lines))


class Tree(Progress):
    """One line a vertex, redrawn in place, with the last lines of what runs beneath."""

    tail = 6

    def __init__(self) -> None:
        super().__init__()
        self.order: list[int] = []
        self.names: dict[int, str] = {}
        self.begun: dict[int, float] = {}
        self.ended: dict[int, events.VertexDone] = {}
        self.output: dict[int, list[str]] = {}
        self.drawn = 0
        self.painted = 0.0

    def show(self, event: Event) -> None:
        import time

        now = time.monotonic()
        if isinstance(event, events.VertexStarted):
            self.order.append(event.number)
            self.names[event.number] = event.name
            self.begun[event.number] = now
        elif isinstance(event, events.VertexOutput):
            text = event.data.decode(errors="replace").replace("\r", "\n")
            held = self.output.setdefault(event.number, [""])
            first, *more = text.split("\n")
            held[-1] += first
            held += more
            del held[: -self.tail - 1]
            if now - self.painted < 0.05:
                return
        elif isinstance(event, events.VertexDone):
            self.ended[event.number] = event
        else:
            super().show(event)
            return
        self.paint(now)

    def paint(self, now: float) -> None:
        """Draw everything anew over what was drawn last."""
        self.painted = now
        columns, rows = os.get_terminal_size(sys.stderr.fileno())
        lines: list[str] = []
        for number in self.order:
            end = self.ended.get(number)
            seconds = end.seconds if end else now - self.begun[number]
            mark = "CACHED " if end and end.cached else "ERROR " if end and end.error else ""
            left = f" => {mark}{self.names[number]}"
            right = f" {seconds:.1f}s"
            lines.append(left[: columns - len(right) - 1].ljust(columns - len(right) - 1) + right)
            if end is None:
                shown = [t for t in self.output.get(number, []) if t][-self.tail :]
                lines += [f" => => {t}"[: columns - 1] for t in shown]
        lines = lines[-(rows - 1) :]
        up = f"\x1b[{self.drawn}A" if self.drawn else ""
        body = "".join(f"\x1b[2K{line}\n" for line in lines)
        blank = "\x1b[J"
        sys.stderr.write(f"{up}\r{body}{blank}")
        sys.stderr.flush()
        self.drawn = len(lines)

    def close(self) -> None:
        import time

        if self.order:
            self.paint(time.monotonic())

    def finished(self, image_id: str, names: tuple[str, ...]) -> None:
        sys.stderr.write(f" => writing image {image_id}\n")
        sys.stderr.write("".join(f" => naming to {name}\n" for name in names))
