"""A further program in a running container: docker's exec.

    K, the caller ── clone ── P, the program, which joins the other namespaces itself

A process is born into a pid namespace: K joins the container's for its children, and goes back
where it may: not in a user namespace. It must not have entered another one than the container's: it
joins that, for good, where it is root because the namespace belongs to its user.
"""

from __future__ import annotations

import gc
import os

from kobako import groups
from kobako.errors import Conflict, KobakoError, StartFailed, remedy
from kobako.linux import process
from kobako.linux.channel import Channel
from kobako.runtime import outcome, program, state
from kobako.runtime.bundle import needs_pump

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any, NoReturn

    from kobako.linux.seccomp import Filter
    from kobako.runtime.bundle import Interception, Stdio
    from kobako.runtime.cgroup import Place
else:
    import _signal  # `signal` itself imports enum: 2 ms

_SIGKILL = 9
Streams = tuple[int, int, int]


def exec_(
    state_dir: str,
    document: dict[str, Any],
    io: Stdio,
    intercept: Interception | None = None,
    profile: Filter | None = None,
    *,
    limited: bool = False,
) -> int | None:
    """Runs a runtime-spec `process` object in the container and stays until it ends.

    `profile` is the container's seccomp filter, `limited` says that it may have a cgroup. Output is
    not logged. With a terminal, stdin is in raw mode meanwhile if it is one.
    `intercept.serve` gets the listener and P's pid and hands the listener on: it must soon return.
    Returns the exit code (128 + signal when killed); None when `io.detach_keys` were typed, and
    the program runs on. Raises `Conflict` when the container does not
    run or is paused, `StartFailed` (125, 126, 127) when the program cannot be started.
    """
    process.require_single_thread("exec in a container")
    now = state.running(state_dir)
    if now.status == "paused":
        raise Conflict("the container is paused", hint="unpause it first")
    pidfd = state.open_process(state_dir)
    try:
        flags = process.namespaces_apart_from(now.pid)
        one = _Exec(document, io, intercept, profile)
        if limited:
            from kobako.runtime import cgroup

            one.cgroup = cgroup.places(f"{state_dir}/cgroup")
        return one.run(pidfd, flags)
    finally:
        os.close(pidfd)


class _Exec:
    def __init__(
        self,
        document: dict[str, Any],
        io: Stdio,
        intercept: Interception | None,
        profile: Filter | None,
    ) -> None:
        self.document = io.with_size(document)
        self.io = io
        self.intercept = intercept
        self.profile = profile
        self.cgroup: list[Place] = []
        self.terminal = bool(document.get("terminal"))
        self.pid = 0
        self.target = -1  # where stdin is pumped to
        self.outputs: dict[int, int] = {}  # descriptor to read from -> the caller's own

    def run(self, container: int, flags: int) -> int | None:
        setup, theirs = Channel.pair()
        streams = self._make_streams()
        self._clone(container, flags, theirs, streams)
        setup.send(b"G")
        theirs.close()
        for fd in {*streams} - {-1, self.io.stdin}:
            os.close(fd)
        groups.load("exec-end")  # while P gets ready
        try:
            self._follow_setup(setup)
        finally:
            setup.close()
        return self._attend()

    def _clone(self, container: int, flags: int, channel: Channel, streams: Streams) -> None:
        """Makes P, in the container's pid namespace from its first moment on."""
        own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        # What is in the container may look at P as soon as it is: let it find nothing.
        process.set_dumpable(False)
        try:
            for kind in (process.CLONE_NEWUSER, process.CLONE_NEWPID):
                if flags & kind:
                    process.setns(container, kind)
            processors = os.sched_getaffinity(0)
            self.pid = process.clone(0)
            if self.pid == 0:
                others = flags & ~(process.CLONE_NEWUSER | process.CLONE_NEWPID)
                self._join(container, others, channel, streams, processors)
            process.begin_elsewhere(self.pid, processors)
            if not flags & process.CLONE_NEWUSER:  # else we stay, and as we are
                self._go_back(own)
        except OSError as fault:
            self._close()
            raise StartFailed(
                f"cannot enter the container: {fault.strerror}", hint=remedy(fault)
            ) from None
        finally:
            os.close(own)

    def _go_back(self, own: int) -> None:
        try:
            process.setns(own, process.CLONE_NEWPID)
            process.set_dumpable(True)
        except PermissionError:
            pass  # we came from the user namespace, and stay, as those who have joined it

    def _make_streams(self) -> Streams:
        """P's 0, 1 and 2; -1 with a terminal."""
        if self.terminal:
            return -1, -1, -1
        stdin = self.io.stdin
        if stdin < 0:
            stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        elif needs_pump(stdin):
            stdin, self.target = os.pipe()
        out, out_w = os.pipe()
        err, err_w = os.pipe()
        self.outputs = {out: self.io.stdout, err: self.io.stderr}
        return stdin, out_w, err_w

    def _follow_setup(self, setup: Channel) -> None:
        """Hears H and P out. Raises `StartFailed`."""
        refusal = outcome.hear_out(setup.receive, self._hear, "the program")
        if refusal is None:
            return
        os.waitpid(self.pid, 0)
        self._close()
        raise refusal

    def _hear(self, message: bytes, fds: list[int]) -> None:
        kind = message[:1]
        if kind == b"M":
            self.target = fds[0]
            self.outputs = {fds[0]: self.io.stdout}
        elif kind == b"L":
            self._hand_on(fds[0])

    def _hand_on(self, listener: int) -> None:
        assert self.intercept is not None
        try:
            self.intercept.serve(lambda: listener, self.pid, None)
        except KobakoError as fault:
            os.kill(self.pid, _SIGKILL)
            os.waitpid(self.pid, 0)
            self._close()
            raise StartFailed(fault.message, hint=fault.hint) from None
        finally:
            os.close(listener)

    def _attend(self) -> int | None:
        from kobako.runtime.attach import OutputLost, Session, Signals

        pidfd = os.pidfd_open(self.pid)
        session = Session(
            pidfd,
            self.io.stdin,
            self.target,
            close_target=not self.terminal,
            outputs=self.outputs,
            detach_keys=self.io.detach_keys if self.terminal else b"",
        )
        master, screen = (self.target, self.io.screen()) if self.terminal else (-1, -1)
        signals = Signals(pidfd, master, self.io.stdin, forward=False, screen=screen)
        try:
            if not session.run():
                signals.restore()
                self._leave()
                return None
            session.drain()
        finally:
            signals.restore()
            os.close(pidfd)
            if not self.terminal:
                self.target = -1  # the session's
            self._close()
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if session.lost:
            raise OutputLost(session.lost)
        return 128 - code if code < 0 else code

    def _leave(self) -> None:
        """The program runs on without us: what it prints is read, and dropped, until its end."""
        # Our end may hang up the terminal we are in before the other process has left it.
        _signal.signal(_signal.SIGHUP, _signal.SIG_IGN)
        if os.fork():
            return
        try:
            process.set_dumpable(False)  # in a user namespace, it is seen in the container
            os.setsid()
            process.close_all_but({self.target})
            os.set_blocking(self.target, True)
            while os.read(self.target, 65536):
                pass
        finally:  # EIO: its last process has closed the terminal
            os._exit(0)

    def _close(self) -> None:
        for fd in {*self.outputs, self.target} - {-1}:
            os.close(fd)
        self.outputs, self.target = {}, -1

    def _join(
        self,
        container: int,
        flags: int,
        channel: Channel,
        streams: Streams,
        processors: set[int],
    ) -> NoReturn:
        """P's whole life before it becomes the program, which has the `processors`."""
        try:
            gc.disable()
            if self.cgroup:
                self._confine()
            program.set_oom_score(self.document)
            program.preload(self.document)
            program.forget_imports()
            os.setsid()
            null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            for number, fd in enumerate(streams):
                os.dup2(fd if fd >= 0 else null, number)
            process.close_all_but({container, channel.fileno()})
            if flags:
                process.setns(container, flags)
            os.close(container)
            if os.geteuid() or os.getegid():  # we are root of the container's user namespace
                os.setresgid(0, 0, 0)
                os.setresuid(0, 0, 0)
            if not channel.receive()[0]:
                os._exit(125)  # nobody waits for us any more
            process.run_anywhere(processors)
            self._become(channel)
        except BaseException as fault:
            outcome.report(channel, fault)
        finally:
            os._exit(125)

    def _confine(self) -> None:
        from kobako.runtime import cgroup

        try:
            cgroup.join(self.cgroup)
        except OSError as fault:
            raise StartFailed(f"cannot join the container's cgroup: {fault.strerror}") from None

    def _become(self, channel: Channel) -> None:
        if self.terminal:
            from kobako.runtime import terminal

            root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            terminal.take(root, self.document, channel, lambda slave: None)
            os.close(root)
        else:
            program.own_streams(self.document)
        if self.intercept:
            # The supervisor of intercepted calls reads their arguments from our memory.
            process.set_dumpable(True)
        program.enter(self.document, channel, self._program(), lambda: None, self.profile)

    def _program(self) -> bytes:
        return self.intercept.program if self.intercept else b""
