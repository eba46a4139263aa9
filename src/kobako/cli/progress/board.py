"""The state of a build as a live tree shows it, and the lines of one frame of it. No I/O."""

from __future__ import annotations

from kobako.cli.progress.cells import clip, printable, spread, width
from kobako.cli.progress.window import Window

WINDOW = 6
"""Lines of a running step's output."""
_LEAST = 2
_PAD = 10
_BAR = 20


class Transfer:
    """A blob on its way."""

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.action = ""
        self.current = 0
        self.total = 0
        self.ended = 0.0


class Job:
    """A vertex. `ended` is how long it took, -1 while it runs."""

    def __init__(self, name: str, begun: float) -> None:
        self.name = printable(name)
        self.begun = begun
        self.ended = -1.0
        self.mark = ""
        self.window: Window | None = None
        self.latest = 0.0
        self.transfers: dict[str, Transfer] = {}

    @property
    def running(self) -> bool:
        return self.ended < 0


class Line:
    """A line of a frame: `style` is "", "done", "error", "canceled", "faint"; `job` heads one."""

    __slots__ = ("job", "style", "text")

    def __init__(self, text: str, style: str = "", job: Job | None = None) -> None:
        self.text = text
        self.style = style
        self.job = job


class Board:
    """All vertices of a build in the order they started."""

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.jobs: dict[int, Job] = {}
        self.warnings: list[str] = []
        self.planned = 0
        self.unplanned = 0
        self.columns = 80

    @property
    def running(self) -> bool:
        return any(job.running for job in self.jobs.values())

    def started(self, number: int, name: str, now: float, planned: bool) -> None:
        self.jobs[number] = Job(name, now)
        self.unplanned += not planned

    def output(self, number: int, data: bytes, now: float) -> None:
        job = self.jobs.get(number)
        if job is None:
            return
        if job.window is None:
            job.window = Window(WINDOW, self.columns - _PAD)
        job.window.feed(data)
        job.latest = now

    def transfer(
        self, number: int, blob: str, action: str, sizes: tuple[int, int], ended: bool, now: float
    ) -> None:
        job = self.jobs.get(number)
        if job is None:
            return
        found = job.transfers.setdefault(printable(blob), Transfer(now))
        found.action, (current, total) = printable(action), sizes
        if current or total:
            found.current, found.total = current, total
        if ended:
            found.ended = found.ended or now

    def done(self, number: int, seconds: float, mark: str) -> None:
        job = self.jobs.get(number)
        if job is not None:
            job.ended, job.mark = seconds, mark
            job.window = None

    def frame(self, columns: int, rows: int, now: float, *, final: bool = False) -> list[Line]:
        """The lines to show: at most `rows` of them, all of them for the `final` one."""
        if columns != self.columns:
            self.columns = columns
            for job in self.jobs.values():
                if job.window is not None:
                    job.window.resize(columns - _PAD)
        groups = [self._job_lines(job, columns, now, final) for job in self.jobs.values()]
        if not final:
            groups = _fitting(groups, rows - 1 - min(3, len(self.warnings)))
            self._windows(groups, rows - 1, columns)
        lines = [self._head(columns, now, final)]
        lines += [line for group in groups for line in group]
        shown = self.warnings if final else self.warnings[-3:]
        return lines + [Line(clip(f" => WARN: {text}", columns), "canceled") for text in shown]

    def _head(self, columns: int, now: float, final: bool) -> Line:
        ended = sum(not job.running for job in self.jobs.values())
        total = max(len(self.jobs), self.planned + self.unplanned)
        failed = any(job.mark in ("ERROR", "CANCELED") for job in self.jobs.values())
        whole = final and not failed and ended == total
        text = f"[+] Building {now - self.begun:.1f}s ({ended}/{total})"
        return Line(clip(text + (" FINISHED" if whole else ""), columns))

    def _job_lines(self, job: Job, columns: int, now: float, final: bool) -> list[Line]:
        seconds = now - job.begun if job.running else job.ended
        mark = job.mark
        if final and job.running:
            mark = "CANCELED"
        name = f"{mark} {job.name}" if mark else job.name
        style = {"ERROR": "error", "CANCELED": "canceled"}.get(mark, "" if job.running else "done")
        lines = [Line(spread(f" => {name}", f" {_seconds(seconds)}", columns), style, job)]
        for blob, transfer in job.transfers.items():
            took = (transfer.ended or now) - transfer.begun
            text = f" => => {blob} {transfer.action}".rstrip()
            if transfer.total and not transfer.ended:
                room = columns - width(text) - 8
                text += " " + _amounts(transfer.current, transfer.total, room)
            elif transfer.current:
                text += " " + _amount(transfer.current, transfer.total)
            style = "done" if transfer.ended else style
            lines.append(Line(spread(text, f" {_seconds(took)}", columns), style))
        return lines

    def _windows(self, groups: list[list[Line]], rows: int, columns: int) -> None:
        """Under each running step the end of its output, as far as there is room; the liveliest
        first."""
        free = rows - sum(map(len, groups)) - min(3, len(self.warnings))
        speaking = [g for g in groups if g and g[0].job and g[0].job.window and g[0].job.running]
        speaking.sort(key=lambda g: -(g[0].job.latest if g[0].job else 0))
        for at, group in enumerate(speaking):
            room = max(_LEAST, min(WINDOW, free // (len(speaking) - at)))
            if free < _LEAST:
                return
            job = group[0].job
            assert job is not None and job.window is not None
            texts = job.window.lines()[-min(room, free) :]
            group += [Line(clip(f" => => # {text}", columns), "faint") for text in texts]
            free -= len(texts)


def _fitting(groups: list[list[Line]], rows: int) -> list[list[Line]]:
    """Groups dropped from the top until the rest fits: first what is done, then anything."""
    total = sum(map(len, groups))
    kept: list[list[Line]] = []
    for group in groups:
        over = total - rows
        head = group[0].job
        if over > 0 and head is not None and not head.running:
            total -= len(group)
            continue
        kept.append(group)
    while kept and sum(map(len, kept)) > max(1, rows):
        if len(kept[0]) > 1:
            kept[0] = kept[0][:1] + kept[0][2:]
        elif len(kept) > 1:
            del kept[0]
        else:
            break
    return kept


def _seconds(seconds: float) -> str:
    return f"{0.0 if seconds < 0.05 else seconds:.1f}s"


def _amount(current: int, total: int) -> str:
    """What has come, of what there is if that is known."""
    from kobako.cli.progress.plain import amount

    return f"{amount(current)} / {amount(total)}" if total else amount(current)


def _amounts(current: int, total: int, room: int) -> str:
    """How much of a transfer is done, with a bar where there is room for one."""
    filled = min(_BAR, current * _BAR // total)
    line = "=" * filled + (">" if filled < _BAR else "")
    amounts = _amount(current, total)
    bar = f"[{line:<{_BAR}}] "
    return bar + amounts if len(bar + amounts) <= room else amounts
