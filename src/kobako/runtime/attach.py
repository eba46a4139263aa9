"""The client's side of a running process: stdin, signals, the terminal, and the wait."""

from __future__ import annotations

import os
import select

from kobako.errors import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from kobako.linux import pty
    from kobako.runtime.detach_keys import DetachKeys
else:
    import _signal  # `signal` itself imports enum: 2 ms

_PROXIED = (
    _signal.SIGINT,
    _signal.SIGTERM,
    _signal.SIGHUP,
    _signal.SIGQUIT,
    _signal.SIGUSR1,
    _signal.SIGUSR2,
)
_FATAL = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT)
_SIGCONT, _SIGWINCH = 18, 28
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL
_CHUNK = 65536
_PIPE_BUF = 4096


class OutputLost(Unavailable):
    """What a process printed did not all reach us, as the disk behind our output was full, say.
    The process itself has come to its end."""

    of_a_start = False

    def __init__(self, number: int) -> None:
        super().__init__(f"write the container's output: {os.strerror(number)}")


class Session:
    """Copies stdin in, and output out where that is ours to do, until something happens.

    `until` is the descriptor whose becoming readable ends the session. `target` gets what `stdin`
    gives (-1: nothing); it is closed at the end of stdin when `close_target`. `outputs` maps
    descriptors to copy from to descriptors to copy to. `sources` maps others to what is to be done
    when they are readable; it says whether they are to be looked at again. `detach_keys` in what
    stdin gives end the session and are not passed on (b"": there are none).
    """

    def __init__(
        self,
        until: int,
        stdin: int,
        target: int,
        *,
        close_target: bool,
        outputs: dict[int, int],
        sources: dict[int, Callable[[], bool]] | None = None,
        detach_keys: bytes = b"",
    ) -> None:
        self._sources = sources or {}
        self._until = until
        self._stdin = stdin if target >= 0 else -1
        self._target = target
        self._close_target = close_target
        self._outputs = dict(outputs)
        self._pending = b""
        self.lost = 0  # why output could not be written: an errno
        self._keys: DetachKeys | None = None
        if detach_keys:
            from kobako.runtime.detach_keys import DetachKeys

            self._keys = DetachKeys(detach_keys)

    def run(self) -> bool:
        """Returns when `until` is readable; False when the detach keys were typed before. Output
        that is there by then may remain: `drain`."""
        poll = select.poll()
        poll.register(self._until, select.POLLIN)
        for fd in (*self._outputs, *self._sources):
            poll.register(fd, select.POLLIN)
        if self._stdin >= 0:
            os.set_blocking(self._target, False)
            poll.register(self._stdin, select.POLLIN)
        while True:
            for fd, events in poll.poll():
                if fd == self._until:
                    self._end_of_input(poll)
                    return True
                if fd == self._stdin and fd not in self._outputs:
                    self._take_input(poll)
                    if self._keys is not None and self._keys.typed:
                        return False
                elif fd == self._target and events & (select.POLLOUT | _GONE) and self._pending:
                    self._give_input(poll)
                elif fd in self._outputs and not self._copy(fd):
                    poll.unregister(fd)
                    del self._outputs[fd]
                elif fd in self._sources and not self._sources[fd]():
                    poll.unregister(fd)

    def drain(self) -> None:
        """Copies the output that is left, without waiting for more."""
        for fd in self._outputs:
            os.set_blocking(fd, False)
            while self._copy(fd):
                pass

    def _copy(self, fd: int) -> bool:
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # EIO: the terminal's last process is gone
            return False
        if not data:
            return False
        sink = self._outputs[fd]
        try:
            if sink >= 0:
                write_all(sink, data)
        except OSError as fault:  # nobody reads: the process is told by its own writes
            if not isinstance(fault, BrokenPipeError):
                self.lost = fault.errno or 0
            self._outputs[fd] = -1
            return False
        return True

    def _take_input(self, poll: select.poll) -> None:
        try:
            data = os.read(self._stdin, _PIPE_BUF)
        except OSError:
            data = b""
        if not data:
            poll.unregister(self._stdin)
            self._stdin = -1
            self._end_of_input(poll)
            return
        self._pending = data if self._keys is None else self._keys.before(data)
        if self._pending:
            self._give_input(poll)

    def _give_input(self, poll: select.poll) -> None:
        """Writes what the target takes; stdin rests while it takes no more."""
        shared = self._target in self._outputs
        try:
            self._pending = self._pending[os.write(self._target, self._pending) :]
        except BlockingIOError:
            pass
        except OSError:
            self._pending = b""
            self._forget(poll, self._stdin)
            self._stdin = -1
            return
        if self._pending:
            # Not only without interest: a hangup would be told all the same.
            self._forget(poll, self._stdin)
            poll.register(self._target, select.POLLOUT | (select.POLLIN if shared else 0))
        else:
            poll.register(self._stdin, select.POLLIN)
            if shared:
                poll.register(self._target, select.POLLIN)
            else:
                self._forget(poll, self._target)

    @staticmethod
    def _forget(poll: select.poll, fd: int) -> None:
        try:
            poll.unregister(fd)
        except KeyError:
            pass  # it was not waited for

    def _end_of_input(self, poll: select.poll) -> None:
        if self._close_target and self._target >= 0:
            self._forget(poll, self._target)
            os.close(self._target)
            self._target = -1


def write_all(sink: int, data: bytes) -> None:
    """Writes everything, however long that takes, whether or not the descriptor blocks."""
    while data:
        try:
            data = data[os.write(sink, data) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(sink, select.POLLOUT)
            poll.poll()


class Signals:
    """Signal handlers, and the terminal's raw mode, while a process is attended to.

    Without a `terminal` (its master) signals go to the process behind `pidfd` when `forward`; with
    one, `stdin` is put in raw mode if it is a terminal, its size follows that of `screen`, our
    terminal (-1: none), and a fatal signal restores the mode before it kills us. `restore` undoes
    everything and may be called again.
    """

    def __init__(
        self, pidfd: int, terminal: int, stdin: int, *, forward: bool, screen: int
    ) -> None:
        self._pidfd = pidfd
        self._terminal = terminal
        self._stdin = stdin
        self._screen = screen
        self._raw: pty.RawMode | None = None
        self._before: dict[int, Any] = {}
        try:
            if terminal >= 0:
                self._take_terminal()
            elif forward:
                for number in _PROXIED:
                    self._before[number] = _signal.signal(number, self._forward)
        except BaseException:
            self.restore()
            raise

    def _take_terminal(self) -> None:
        for number in _FATAL:
            self._before[number] = _signal.signal(number, self._die)
        if self._screen < 0:
            return
        if self._stdin == self._screen:
            from kobako.linux import pty

            self._raw = pty.RawMode(self._stdin)
        self._before[_SIGWINCH] = _signal.signal(_SIGWINCH, self._resize)
        self._before[_SIGCONT] = _signal.signal(_SIGCONT, self._continue)
        self._resize()

    def _forward(self, number: int, frame: FrameType | None) -> None:
        try:
            _signal.pidfd_send_signal(self._pidfd, number)
        except OSError:
            pass  # it has ended

    def _die(self, number: int, frame: FrameType | None) -> None:
        self.restore()
        _signal.signal(number, _signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _resize(self, number: int = 0, frame: FrameType | None = None) -> None:
        from kobako.linux import pty

        try:
            rows, columns = pty.get_size(self._screen)
            if (rows, columns) != (0, 0):
                pty.set_size(self._terminal, rows, columns)
        except OSError:
            pass  # one of the two is gone

    def _continue(self, number: int, frame: FrameType | None) -> None:
        """Back from a stop: the shell has put its own mode on the terminal meanwhile."""
        if self._raw is not None:
            self._raw.enter()
        self._resize()

    def restore(self) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.restore()
        before, self._before = self._before, {}
        for number, handler in before.items():
            _signal.signal(number, handler if handler is not None else _signal.SIG_DFL)
