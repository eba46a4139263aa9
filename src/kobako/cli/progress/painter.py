"""The process that paints a live tree: it reads what happens from a pipe and owns the terminal.

A process, not a thread: the build forks, and a process with threads must not. When the build is
killed, the painter finds the pipe closed or its parent gone, and gives the terminal back.
"""

from __future__ import annotations

import marshal
import os
import select
import signal
import time

from kobako.cli.progress.board import Board, Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

FRAME = 0.1
"""Seconds between two frames."""
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_COLORS = {"done": "\x1b[34m", "error": "\x1b[31m", "canceled": "\x1b[33m", "faint": "\x1b[2m"}


class Painter:
    def __init__(self, source: int, terminal: int, parent: int, *, color: bool) -> None:
        self.source = source
        self.terminal = terminal
        self.parent = parent
        self.color = color
        self.board = Board(time.monotonic())
        self.held = bytearray()
        self.drawn: list[str] = []
        self.columns = 0
        self.painted = 0.0
        self.hidden = False
        self.stopped = False

    def run(self) -> None:
        """Until the build says it is over, or is gone."""
        poll = select.poll()
        poll.register(self.source, select.POLLIN)
        dirty = False
        try:
            while True:
                wait = max(0.0, self.painted + FRAME - time.monotonic()) if dirty else FRAME
                if poll.poll(wait * 1000) and not self._read():
                    break
                if os.getppid() != self.parent:
                    break
                dirty = True
                if time.monotonic() - self.painted >= FRAME and self.board.jobs:
                    self.paint()
                    dirty = False
            if self.board.jobs or self.board.warnings:
                self.paint(final=True)
        finally:
            self.show_cursor()

    def _read(self) -> bool:
        """Take in what there is; False at the end."""
        data = os.read(self.source, 1 << 16)
        self.held += data
        at = 0
        over = not data
        while len(self.held) - at >= 4:
            size = int.from_bytes(self.held[at : at + 4], "little")
            if len(self.held) - at - 4 < size:
                break
            over = not self._take(marshal.loads(self.held[at + 4 : at + 4 + size])) or over
            at += 4 + size
        del self.held[:at]
        return not over

    def _take(self, message: tuple[Any, ...]) -> bool:
        kind, *rest = message
        now = time.monotonic()
        if kind == "start":
            self.board.started(*rest)
        elif kind == "out":
            self.board.output(rest[0], rest[1], now)
        elif kind == "move":
            number, blob, action, current, total, ended = rest
            self.board.transfer(number, blob, action, (current, total), ended, now)
        elif kind == "done":
            self.board.done(*rest)
        elif kind == "plan":
            self.board.planned = rest[0]
        elif kind == "warn":
            self.board.warnings.append(rest[0])
        return bool(kind != "end")

    def paint(self, *, final: bool = False) -> None:
        """One frame over the last one."""
        try:
            size = os.get_terminal_size(self.terminal)
            columns, rows = size.columns or 80, size.lines or 24
        except OSError:
            columns, rows = 80, 24
        lines = self.board.frame(
            max(20, columns - 1), max(2, rows - 1), time.monotonic(), final=final
        )
        if self.stopped:  # the shell has written below: this frame stands on its own
            self.drawn, self.stopped = [], False
        up = self._height(columns, rows)
        body = "".join(f"{self._styled(line)}\x1b[K\n" for line in lines)
        move = f"\x1b[{up}A" if up else ""
        self.hidden = True  # before it is: a signal may come in between
        self._write(f"{_HIDE}\r{move}{body}\x1b[J")
        self.drawn = [line.text for line in lines]
        self.columns = columns
        self.painted = time.monotonic()

    def _height(self, columns: int, rows: int) -> int:
        """How many rows the last frame takes now: a narrower terminal has wrapped its lines."""
        if columns >= self.columns:
            return min(len(self.drawn), rows - 1)
        from kobako.cli.progress.cells import width

        total = sum(max(1, -(-width(text.rstrip()) // columns)) for text in self.drawn)
        return min(total, rows - 1)

    def _styled(self, line: Line) -> str:
        if not self.color or line.style not in _COLORS:
            return line.text
        return f"{_COLORS[line.style]}{line.text}\x1b[0m"

    def show_cursor(self) -> None:
        """Also where it is not hidden just now: the next frame hides it again."""
        if self.hidden:
            self._write(_SHOW)

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        while data:
            try:
                data = data[os.write(self.terminal, data) :]
            except BlockingIOError:
                select.select([], [self.terminal], [], 1)


def main(source: int, terminal: int, parent: int, *, color: bool) -> None:
    """The life of the process; never returns."""
    painter = Painter(source, terminal, parent, color=color)

    def suspend(number: int, frame: FrameType | None) -> None:
        painter.show_cursor()
        os.kill(os.getpid(), signal.SIGSTOP)
        painter.stopped = True

    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)  # the build hears them, and ends us
        signal.signal(signal.SIGTSTP, suspend)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        painter.run()
        code = 0
    except OSError:
        pass  # the terminal has gone: there is nothing to show and nobody to tell
    finally:
        os._exit(code)
