"""Making a container's first process: what leads to it, and its clone."""

from __future__ import annotations

import os
import select

from kobako.errors import Unsupported
from kobako.linux import process
from kobako.linux.channel import Channel
from kobako.runtime import outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable

    from kobako.runtime.bundle import Stdio
else:
    import _signal  # `signal` itself imports enum: 2 ms

_SIGKILL = 9
_POLLIN = 1


def clone_flags(namespaces: list[dict[str, str]]) -> int:
    """CLONE_NEW* for those of the spec's namespaces that are to be fresh.

    The mount namespace is always fresh. `Unsupported` for a user namespace: the monitor itself
    already is in the one the container gets.
    """
    flags = process.CLONE_NEWNS
    for namespace in namespaces:
        kind = namespace["type"]
        if kind == "user":
            raise Unsupported(
                "the bundle asks for a user namespace of its own",
                hint="enter one before the start; see linux.userns",
            )
        if kind not in process.NAMESPACES:
            raise Unsupported(f"the bundle asks for a {kind} namespace")
        if not namespace.get("path"):
            flags |= process.NAMESPACES[kind][0]
    return flags


class First:
    """The first process as its parent, the monitor, holds it: `clone`, and then `settle`.

    `streams` are what to read its output from, `held` the writing end of an stdin that nobody
    writes to yet, `setup` the channel to it. `sweep`: it has no PID namespace of its own, so that
    what it leaves behind has to be found.
    """

    def __init__(self, io: Stdio, *, terminal: bool, detach: bool) -> None:
        """Opens what is to lead to it. Who does that for a monitor that is still to be forked (a
        fork has to copy what it writes to) must `forget` it afterwards."""
        self.pid = 0
        self.pidfd = -1
        self.held = -1
        self.sweep = False
        self.streams: dict[int, int] = {}
        self._given = io.stdin
        self._stdio = (-1, -1, -1)
        if not terminal:  # else the client writes to that itself
            self._open_streams(io, detach)
        self.setup, self._theirs = Channel.pair()

    def _open_streams(self, io: Stdio, detach: bool) -> None:
        out, out_w = os.pipe()
        err, err_w = os.pipe()
        stdin = -1 if detach else io.stdin
        if stdin < 0:
            if io.hold_stdin:
                stdin, self.held = os.pipe()
            else:
                stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self.streams = {out: 1, err: 2}
        self._stdio = stdin, out_w, err_w

    @property
    def descriptors(self) -> set[int]:
        """What is open for it, until `settle`."""
        ends = {self.setup.fileno(), self._theirs.fileno()}
        return {*ends, *self.streams, *self._stdio, self.held}

    def forget(self) -> None:
        """Leaves all that to a monitor that has been forked."""
        self.setup.close()
        self._theirs.close()
        for fd in {*self.streams, *self._stdio, self.held} - {self._given, -1}:
            os.close(fd)

    def clone(
        self,
        namespaces: list[dict[str, str]],
        live: Callable[[Channel, tuple[int, int, int]], None],
    ) -> None:
        """Makes it. There `live` is called with its end of the channel and descriptors for 0, 1 and
        2, or -1 each where a terminal is asked for; when that returns, it ends. The channel hears
        what was raised."""
        flags = clone_flags(namespaces)
        self.sweep = not flags & process.CLONE_NEWPID
        if self.sweep:
            process.set_child_subreaper()
        _join_pid_namespace(namespaces)
        self.pid = process.clone(flags)
        if self.pid == 0:
            try:
                live(self._theirs, self._stdio)
            except BaseException as fault:
                outcome.report(self._theirs, fault)
            finally:
                os._exit(125)

    def await_stage(self, control: Channel) -> bool:
        """Waits until the first process has set its stage, or has failed; whether meanwhile there
        is something to `receive` over `control`."""
        poll = select.poll()
        for channel in (self.setup, control):
            poll.register(channel.fileno(), _POLLIN)
        return any(fd == control.fileno() for fd, _ in poll.poll())

    def settle(self) -> None:
        """Leaves to it what is its own; descriptors 0, 1 and 2 are nobody's by now."""
        self._theirs.close()
        for fd in {*self._stdio, self._given}:
            if fd > 2:
                os.close(fd)
        self.pidfd = os.pidfd_open(self.pid)

    def let_go(self) -> None:
        """Lets the program start, once everything is ready for it."""
        self.setup.send(b"G")

    def kill(self) -> None:
        """Nothing is left of it, if it is there."""
        if not self.pid:
            return
        try:
            if self.pidfd >= 0:
                _signal.pidfd_send_signal(self.pidfd, _SIGKILL)
            else:  # it is there, as we have not reaped it
                os.kill(self.pid, _SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass  # it has ended already


def _join_pid_namespace(namespaces: list[dict[str, str]]) -> None:
    for namespace in namespaces:
        if namespace["type"] == "pid" and namespace.get("path"):
            fd = os.open(namespace["path"], os.O_RDONLY | os.O_CLOEXEC)
            process.setns(fd, process.CLONE_NEWPID)
            os.close(fd)
