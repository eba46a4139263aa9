"""Staying with a container that somebody else has started: docker's attach.

What it prints is read from its log, as fast or slowly as the visitor likes: neither the container
nor its log ever waits for one. What is typed goes straight to its terminal or stdin, which its
monitor hands out: see `door`.
"""

from __future__ import annotations

import os
import select

from kobako.errors import Conflict, NotFound, Unavailable
from kobako.linux import pty
from kobako.runtime import control, door, state
from kobako.runtime.attach import OutputLost, Session, Signals, write_all
from kobako.runtime.log import STDERR, Tail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kobako.linux.channel import Channel
    from kobako.runtime.bundle import Stdio

_CODE = b"Z"
_REDRAW_MS = 100


def stay(state_dir: str, io: Stdio, *, terminal: bool, forward_signals: bool) -> int | None:
    """Joins the caller's streams to a container until it ends; its exit code. None when the
    `detach_keys` of its `terminal` were typed.

    stdin -1: it is not written to. Signals and the terminal's mode as in `Container.wait`. Raises
    `Conflict` when the container does not run, `OutputLost`, and `Unavailable` when its monitor has
    been killed.
    """
    pidfd = state.open_process(state_dir)
    try:
        return _Visit(state_dir, io, terminal).last(pidfd, forward_signals)
    finally:
        os.close(pidfd)


class _Visit:
    def __init__(self, state_dir: str, io: Stdio, terminal: bool) -> None:
        self._state_dir = state_dir
        self._io = io
        self._terminal = terminal
        self._code: int | None = None
        self._tail: Tail | None = None
        try:
            self._tail = Tail(state_dir)
        except NotFound:
            pass  # all that is printed comes from the monitor
        self._monitor: Channel | None
        self._monitor, self._target = door.knock(state_dir, stdin=io.stdin >= 0)
        if self._monitor is None and self._tail is None:
            raise Conflict("what the container prints is neither logged nor shown to others")

    def last(self, pidfd: int, forward_signals: bool) -> int | None:
        """`pidfd`: of the container's first process."""
        master = self._target if self._terminal else -1
        sources = self._sources()
        session = Session(
            pidfd,
            self._io.stdin,
            self._target,
            close_target=not self._terminal,
            outputs={},
            sources=sources,
            detach_keys=self._io.detach_keys if self._terminal else b"",
        )
        screen = self._io.screen() if master >= 0 else -1
        _have_redrawn(master, screen, sources)
        signals = Signals(pidfd, master, self._io.stdin, forward=forward_signals, screen=screen)
        try:
            if not session.run():
                return None
            while self._code is None and self._hear():
                pass
            code = self._exit_code()
            self._show_logged()
        finally:
            signals.restore()
        return code

    def _sources(self) -> dict[int, Callable[[], bool]]:
        found = {}
        if self._tail is not None:
            found[self._tail.fileno()] = self._show_logged
        if self._monitor is not None:
            found[self._monitor.fileno()] = self._hear
        return found

    def _show_logged(self) -> bool:
        for stream, data in self._tail.take() if self._tail is not None else ():
            self._show(stream, data)
        return True

    def _hear(self) -> bool:
        """One message of the monitor; False after the last."""
        message = self._monitor.receive()[0] if self._monitor is not None else b""
        if message[:1] == _CODE:
            self._code = int(message[1:])
        elif message:
            self._show(int(message[:1]), message[1:])
        return bool(message)

    def _show(self, stream: int, data: bytes) -> None:
        sink = self._io.stderr if stream == STDERR else self._io.stdout
        try:
            write_all(sink, data)
        except BrokenPipeError:
            raise
        except OSError as fault:
            raise OutputLost(fault.errno or 0) from None

    def _exit_code(self) -> int:
        if self._code is not None:
            return self._code
        code = control.wait(self._state_dir)
        error = state.state(self._state_dir).error
        if error:
            raise Unavailable(error)
        return code


def _have_redrawn(master: int, screen: int, output: Iterable[int]) -> None:
    """A program that has been drawing on another terminal draws anew when the size changes. Where
    it is that of `screen` already it is another one until there is `output`, for a moment."""
    if master < 0 or screen < 0:
        return
    rows, columns = pty.get_size(screen)
    try:
        if pty.get_size(master) != (rows, columns):
            return
        pty.set_size(master, rows + 1, columns + 1)
    except OSError:
        return  # it has just ended
    poll = select.poll()
    for fd in output:
        poll.register(fd, select.POLLIN)
    poll.poll(_REDRAW_MS)
