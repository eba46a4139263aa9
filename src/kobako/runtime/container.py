"""A started container as its starter holds it."""

from __future__ import annotations

import os

from kobako.errors import StartFailed, Unavailable
from kobako.linux import process
from kobako.runtime import outcome
from kobako.runtime.bundle import needs_pump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.linux.channel import Channel
    from kobako.runtime.bundle import Stdio


class Container:
    """`pid` is the first process, in the starter's pid namespace.

    Attached: call `wait`, or `close`, after which the container carries on detached.
    Detached: nothing is left to do; `runtime.control.wait` waits for anybody's container.
    """

    def __init__(self, state_dir: str, terminal: bool, io: Stdio, control: Channel) -> None:
        self.state_dir = state_dir
        self.pid = 0
        self._terminal = terminal
        self._io = io
        self._control = control
        self._monitor = 0
        self._attended = False
        self._pidfd = -1
        self._target = -1  # where stdin is pumped to: the terminal's master, or a pipe
        self._pump_end = -1

    def monitors_io(self, detach: bool) -> Stdio:
        """What the monitor gets: instead of a stdin that must be pumped, a pipe's other end."""
        stdin = self._io.stdin
        if detach or self._terminal or stdin < 0 or not needs_pump(stdin):
            return self._io
        self._pump_end, self._target = os.pipe()
        return self._io.replace(stdin=self._pump_end)

    def forget_pump_end(self) -> None:
        """Leaves the reading end of that pipe to the container."""
        if self._pump_end >= 0:
            os.close(self._pump_end)
            self._pump_end = -1

    def await_start(self, child: int, detach: bool) -> None:
        """Returns once the program runs; raises what stopped it."""
        if detach:
            os.waitpid(child, 0)
        else:
            self._monitor = child
        message, fds = self._control.receive()
        if message[:1] == b"R":
            self.pid = int(message[1:])
            self._pidfd = fds[0]
            if len(fds) > 1:
                self._target = fds[1]
            if detach:
                self.close()
            return
        self.close()
        if self._monitor:
            os.waitpid(self._monitor, 0)
        if message[:1] == b"E":
            raise outcome.failure(message)
        raise StartFailed("the container's monitor was killed during the start")

    def close(self) -> None:
        """Lets go of the container, which runs on under its monitor."""
        self._control.close()
        for fd in (self._pidfd, self._target):
            if fd >= 0:
                os.close(fd)
        self._pidfd = self._target = -1

    def end(self) -> None:
        """Kills a container that was started `tied` and waits until nothing of it is left."""
        self.close()
        if self._monitor:
            try:
                os.waitpid(self._monitor, 0)
            except ChildProcessError:
                pass  # the start failed, and was cleared up already
            self._monitor = 0

    def attend(self) -> None:
        """Tell the monitor that its output is read from now on: it hands on none before.

        `wait` says it by itself; who reads the streams before that says it first.
        """
        if not self._attended:
            self._attended = True
            self._control.send(b"A")

    def let_go(self) -> None:
        """Tell the monitor of a container that has ended that nothing is left for it to do. It ends
        while we carry on, and not in our place."""
        process.begin_elsewhere(self._monitor, os.sched_getaffinity(0))
        self._control.send(b"D")

    def wait(
        self,
        *,
        forward_signals: bool = True,
        meanwhile: Callable[[Callable[[], None]], None] | None = None,
        reap: bool = True,
    ) -> int | None:
        """Stays with an attached container to its end; its exit code (128 + signal when killed).

        None when `Stdio.detach_keys` were typed: the container carries on detached.
        Without a terminal SIGINT, SIGTERM, SIGHUP, ... are passed on to it. With one, stdin is in
        raw mode meanwhile and restored on every way out, and those signals end this process as
        they would have, leaving the container running.
        `meanwhile(let_go)` is called when it has ended and before the monitor is let go: if this
        process is killed before it calls `let_go`, the monitor does what `launch.start` was given
        as `on_exit`.
        Without `reap` the monitor stays, for the next container: `ahead.Ahead.renew`.
        Raises `Unavailable` when the monitor has been killed, `OutputLost` at the end.
        """
        if not self._monitor:
            from kobako.runtime import control

            code = control.wait(self.state_dir)
            if meanwhile is not None:
                meanwhile(lambda: None)
            return code
        message = self._attended_to(forward_signals, meanwhile)
        if message is None:
            return None
        if reap or message[:1] != b"Z":
            os.waitpid(self._monitor, 0)
        if message[:1] != b"Z":
            if meanwhile is not None:
                from kobako.runtime import control

                control.wait(self.state_dir)
                meanwhile(lambda: None)
            raise Unavailable("the container's monitor was killed, and the container with it")
        code, lost = map(int, message[1:].split())
        if lost:
            from kobako.runtime.attach import OutputLost

            raise OutputLost(lost)
        return code

    def _attended_to(
        self, forward_signals: bool, meanwhile: Callable[[Callable[[], None]], None] | None
    ) -> bytes | None:
        """Stays with the container as `wait` says: the monitor's last words, b"" of one that was
        killed; None when the keys to detach were typed. Lets go of it."""
        from kobako.runtime.attach import Session, Signals

        master = self._target if self._terminal else -1
        target, self._target = self._target, -1
        session = Session(
            self._control.fileno(),
            self._io.stdin,
            target,
            close_target=True,
            outputs={},
            detach_keys=self._io.detach_keys if self._terminal else b"",
        )
        screen = self._io.screen() if master >= 0 else -1
        signals = Signals(
            self._pidfd, master, self._io.stdin, forward=forward_signals, screen=screen
        )
        try:
            self.attend()
            if not session.run():
                return None
            message, _ = self._control.receive()
            signals.restore()
            if message[:1] == b"Z" and meanwhile is not None:
                meanwhile(self.let_go)
            return message
        finally:
            signals.restore()
            self.close()
