"""The monitor from its fork until the container runs (and, with a client, to the end)."""

from __future__ import annotations

import gc
import os
import sys
import time

from kobako import fastjson
from kobako.errors import StartFailed
from kobako.linux import process
from kobako.linux.channel import Channel
from kobako.runtime import init, program
from kobako.runtime import monitor as monitor_script
from kobako.runtime.bundle import LOG_ANNOTATION, Bundle, Plan, Stdio
from kobako.runtime.monitor import Monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Iterable, Set
    from typing import Any, NoReturn

    from kobako.runtime.guests import Guests
    from kobako.runtime.stage import Stage
    from kobako.runtime.supervision import Supervision
else:
    import _signal  # `signal` itself imports enum: 2 ms

_SIGKILL = 9


class Launcher:
    """What a monitor does and knows; see `launch` for who else takes part."""

    def __init__(
        self,
        io: Stdio,
        detach: bool,
        control: Channel,
        plan: Plan | None = None,
        lock: int = -1,
    ) -> None:
        self.io = io
        self.detach = detach
        self.control = control
        self.apart = False
        self._keep: set[int] = set()
        self._begin_anew(plan, lock)

    def _begin_anew(self, plan: Plan | None, lock: int) -> None:
        self.plan = plan
        self.lock = lock
        self.streams: dict[int, int] = {}
        self.sweep = False
        self.setup: Channel | None = None  # to the first process
        self._theirs: Channel | None = None  # that one's end
        self._stdio = (-1, -1, -1)  # and its streams
        self.pid = 0
        self.pidfd = -1
        self.supervision: Supervision | None = None
        self.held = -1
        self.limited = False

    @property
    def filter_program(self) -> bytes:
        return self.plan.intercept.program if self.plan and self.plan.intercept else b""

    def run(self, begin: Callable[[], bool], *, again: bool = False) -> NoReturn:
        """Never returns. `begin` makes the first process, stands apart and knows the plan then, or
        says that there is nothing to do. `again`: it is called for every container the client asks
        for, one by one."""
        try:
            gc.disable()  # a descriptor closed below must not be closed again by its old owner
            os.setsid()  # before anything else: what ends the caller's group is not for us
            while begin():
                assert self.plan is not None
                self._tend(self._complete(self.plan))
                if not again or not self._hear_of_another():
                    break
        except BaseException as fault:
            self.call_off()
            program.report(self.control, fault)
            self._record(fault)
        finally:
            os._exit(0)

    def _hear_of_another(self) -> bool:
        """Lets go of a container that has ended, and waits until the client wants one more."""
        if self.supervision:
            self.supervision.release()
        process.close_all_but({self.control.fileno(), *self._keep})
        self._begin_anew(None, -1)
        message, streams = self.control.receive()
        if message:
            self.io = Stdio(stdout=streams[0], stderr=streams[1])
        return bool(message)

    def clone_at_once(self, keep: set[int]) -> bool:
        """The first process of a plan that is known; `keep` as of `stand_apart`."""
        assert self.plan is not None
        self.stand_apart(keep)
        bundle, filter_program = self.plan.bundle, self.filter_program
        self.clone(bundle.namespaces, bundle.terminal, lambda: (bundle, filter_program))
        self.settle()
        self.supervise()
        self.confine()
        return True

    def connect(self, terminal: bool) -> None:
        """Makes what leads to the first process, from descriptors as they are now: `clone` does it,
        or who forks the monitor did, and then must `disconnect`; then the monitor may stand apart
        only after `clone`, and descriptors 0, 1 and 2 must all be open."""
        self.streams, self._stdio = self._make_streams(terminal)
        self.setup, self._theirs = Channel.pair()

    def disconnect(self) -> None:
        """Leaves to the monitor, which has been forked, what `connect` has made."""
        if self.setup and self._theirs:
            self.setup.close()
            self._theirs.close()
            for fd in {*self.streams, *self._stdio, self.held} - {self.io.stdin, -1}:
                os.close(fd)

    def clone(
        self,
        namespaces: list[dict[str, str]],
        terminal: bool,
        obtain: Callable[[], tuple[Bundle, bytes] | None],
        stage: Stage | None = None,
        keep: Set[int] = frozenset(),
    ) -> None:
        """Makes the container's first process, which learns by `obtain` what to do, for which it
        may `keep` descriptors, and may set a `stage` before. `settle` must come after it."""
        flags = init.clone_flags(namespaces)
        self.sweep = not flags & process.CLONE_NEWPID
        if self.sweep:
            process.set_child_subreaper()
        if not self.setup:
            self.connect(terminal)
        assert self._theirs is not None
        _join_pid_namespace(namespaces)
        self.pid = process.clone(flags)
        if self.pid == 0:
            init.run(self._theirs, self._stdio, obtain, stage, keep)

    def settle(self) -> None:
        """Leaves to the first process what is its own."""
        assert self._theirs is not None
        self._theirs.close()
        for fd in {*self._stdio, self.io.stdin}:
            if fd > 2:  # else it is nobody's by now
                os.close(fd)
        self._stdio = (-1, -1, -1)
        self.io = self.io.replace(stdin=-1)
        self.pidfd = os.pidfd_open(self.pid)

    def call_off(self) -> None:
        """Nothing is left of the first process and its supervisor, if there are any."""
        if self.pid:
            try:
                if self.pidfd >= 0:
                    _signal.pidfd_send_signal(self.pidfd, _SIGKILL)
                else:  # it is there, as we have not reaped it
                    os.kill(self.pid, _SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass  # it has ended already
        if self.supervision and self.supervision.pid:
            try:
                os.kill(self.supervision.pid, _SIGKILL)
                os.waitpid(self.supervision.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        if self.limited and self.plan:
            from kobako.runtime import cgroup

            cgroup.remove(cgroup.places(f"{self.plan.state_dir}/cgroup"))

    def stand_apart(self, keep: set[int], besides: Iterable[int] = ()) -> None:
        """Leaves the caller's signals and descriptors but those to `keep` for good, and `besides`
        for now. Once; before `clone` where descriptors 0, 1 and 2 are not all open."""
        for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT):
            _signal.signal(number, _signal.SIG_IGN)
        _signal.signal(_signal.SIGTSTP, _signal.SIG_IGN)
        self.apart, self._keep = True, keep
        ends = {end.fileno() for end in (self.setup, self._theirs) if end}
        self._drop_descriptors({*keep, *besides, *ends, *self._stdio, *self.streams, self.held})

    def _complete(self, plan: Plan) -> Monitor:
        assert self.setup is not None
        init.let_go(self.setup)
        if plan.ephemeral and not self.detach:
            self._keep_mounts()
        state = os.open(plan.state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        size, files = log_bounds(plan.bundle.spec)
        log_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        log = os.open(f"{plan.state_dir}/log", log_flags, 0o600) if files else -1
        wanted = self.detach or plan.bundle.terminal or self.io.hold_stdin or not files
        receives = wanted and not plan.tied
        guests = self._open(state) if receives else None
        master = self._follow_setup(self.setup)
        if master >= 0:
            self.streams = {master: 1}
        monitor = Monitor(
            self.pid, self.pidfd, state, log, self.lock, self.streams,
            0, self.held, self.sweep, plan.on_exit, size, files, -1, time.time_ns(), plan.journal,
        )  # fmt: skip
        monitor.guests = guests
        if self.limited:
            from kobako.runtime import cgroup

            monitor.limited, monitor.cgroup = 1, cgroup
        self._write_pid(plan.state_dir, plan.bundle.terminal, monitor.began_ns)
        monitor.record(b"start")
        told = self.control.send(
            b"R%d" % self.pid, (self.pidfd, master) if master >= 0 else (self.pidfd,)
        )
        # The client's terminal and signal handlers are ready before it is shown anything.
        attended = told and not self.detach and self.next_of(self.control)[0]
        if self.supervision:  # which by now may be a process, whose end is to be waited for
            monitor.supervised_by(self.supervision)
        return self._attached(monitor) if attended else self._left_alone(monitor)

    def _keep_mounts(self) -> None:
        """Until we end: so they are taken down then, and not before the container's end is told."""
        try:
            os.open(f"/proc/{self.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            pass  # it has failed, which is heard next

    def _open(self, state: int) -> Guests | None:
        """From now on others may look in."""
        from kobako.runtime import door
        from kobako.runtime.guests import Guests

        try:
            return Guests(door.build(state), self.io.stdin_once, [])
        except OSError:  # the disk is full: the container is to run all the same
            return None

    def _drop_descriptors(self, keep: set[int]) -> None:
        """Leaves what the caller had open, its locks and databases, to the caller."""
        keep |= {self.control.fileno(), self.io.stdin, self.io.stdout, self.io.stderr}
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        keep.add(null)
        process.close_all_but(keep)
        # The client's streams move up, so that 0, 1 and 2 can be nobody's.
        moved: dict[int, int] = {}
        for fd in (self.io.stdin, self.io.stdout, self.io.stderr):
            if 0 <= fd <= 2 and fd not in moved:
                import fcntl

                moved[fd] = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
        self.io = self.io.replace(
            stdin=moved.get(self.io.stdin, self.io.stdin),
            stdout=moved.get(self.io.stdout, self.io.stdout),
            stderr=moved.get(self.io.stderr, self.io.stderr),
        )
        for number in 0, 1, 2:
            os.dup2(null, number)
        os.close(null)

    def _make_streams(self, terminal: bool) -> tuple[dict[int, int], tuple[int, int, int]]:
        """(what to read from, the container's 0 1 2); the latter are -1 with a terminal."""
        if terminal:  # the client writes to it itself
            return {}, (-1, -1, -1)
        out, out_w = os.pipe()
        err, err_w = os.pipe()
        stdin = -1 if self.detach else self.io.stdin
        if stdin < 0:
            if self.io.hold_stdin:
                stdin, self.held = os.pipe()
            else:
                stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        return {out: 1, err: 2}, (stdin, out_w, err_w)

    def _follow_setup(self, setup: Channel) -> int:
        """Hears the first process out; the terminal's master, or -1. Raises `StartFailed`."""
        master = -1

        def hear(message: bytes, fds: list[int]) -> None:
            nonlocal master
            if message == b"M":
                master = fds[0]
            elif self.supervision:
                self.supervision.hear(message, fds)

        who = "the container's first process"
        refusal = program.hear_out(lambda: self.next_of(setup), hear, who)
        setup.close()
        if refusal is None:
            return master
        if self.supervision:
            self.supervision.close()
        os.waitpid(self.pid, 0)
        raise refusal

    def supervise(self) -> None:
        """Sees to it that intercepted calls are answered, where the plan has any."""
        if self.plan and self.plan.intercept:
            from kobako.runtime.supervision import Supervision

            directory = self.plan.state_dir
            self.supervision = Supervision(
                self.plan.intercept,
                self.pid,
                lambda fault: _complain(directory, "supervisor", fault),
                at_once=self.detach,  # the monitor will be a program that knows nothing of it
            )

    def next_of(self, channel: Channel) -> tuple[bytes, list[int]]:
        """The next message; meanwhile intercepted calls are answered, as nobody waits for them."""
        return self.supervision.next_of(channel) if self.supervision else channel.receive()

    def confine(self) -> None:
        """Puts the first process, which makes its mounts meanwhile, into a cgroup, where the plan
        has limits."""
        assert self.plan is not None
        linux = self.plan.bundle.spec.get("linux", {})
        if "cgroupsPath" in linux:
            from kobako.runtime import cgroup_confine

            self.limited = cgroup_confine.confine(self.plan.state_dir, linux, self.pid)

    def _write_pid(self, state_dir: str, terminal: bool, began_ns: int) -> None:
        document = {
            "pid": self.pid,
            "start_time": process.start_time(self.pid),
            "monitor": os.getpid(),
            "started_ns": began_ns,
            "terminal": terminal,
        }
        _write_whole(f"{state_dir}/pid", fastjson.dumps(document))

    def _record(self, fault: BaseException) -> None:
        """A start that failed is an exit too: `inspect` shows its code and error."""
        if self.plan is None:
            return
        state_dir = self.plan.state_dir
        code = fault.exit_code if isinstance(fault, StartFailed) else 125
        document = {"exit_code": code, "finished_ns": time.time_ns(), "error": str(fault)}
        if not isinstance(fault, StartFailed | OSError):
            _complain(state_dir, "monitor", fault)
        _write_whole(f"{state_dir}/exit", fastjson.dumps(document))

    def _attached(self, monitor: Monitor) -> Monitor:
        monitor.control = self.control.fileno()
        for stream, fd in ((1, self.io.stdout), (2, self.io.stderr)):
            if fd >= 0:
                monitor.sinks[stream] = fd
        return monitor

    def _tend(self, monitor: Monitor) -> None:
        """Serves the client to the end; without the client, carries on detached."""
        while not monitor.watch():
            self._left_alone(monitor)
        code = monitor.finish()
        monitor.flush()
        told = monitor.control >= 0 and self.control.send(b"Z%d %d" % (code, monitor.lost))
        monitor.see_off()
        if self.plan and self.plan.on_exit:
            if told:  # the client acts itself, unless it is killed before it has
                monitor.let_go()
                if self.control.receive()[0]:
                    return
            if os.path.isdir(self.plan.state_dir):
                os.chdir("/")
                os.execv(self.plan.on_exit[0], self.plan.on_exit)

    def _left_alone(self, monitor: Monitor) -> Monitor:
        """The client has gone: the container goes on without it, unless it is tied to it."""
        assert self.plan is not None
        if not self.plan.tied:
            return self._become_small(monitor)
        monitor.control = -1
        monitor.sinks.clear()
        _signal.pidfd_send_signal(self.pidfd, _SIGKILL)
        return monitor

    def _become_small(self, monitor: Monitor) -> Monitor:
        """Replaces this process by a fresh interpreter; returns only when that is impossible."""
        monitor.control = monitor.served = -1
        monitor.sinks.clear()
        if self.supervision:
            if not self.supervision.hand_over():
                return monitor  # which can answer for itself at least
            monitor.serve_pid = self.supervision.pid
        if monitor.guests is None:
            monitor.guests = self._open(monitor.state)
        self.control.close()
        os.chdir("/")
        keep = set(monitor.descriptors())
        process.close_all_but(keep)
        for fd in keep:
            os.set_inheritable(fd, True)
        argv = monitor.argv(sys.executable or "/proc/self/exe", monitor_script.__file__)
        try:
            os.execv(argv[0], argv)
        except OSError:
            return monitor


def log_bounds(spec: dict[str, Any]) -> tuple[int, int]:
    """(bytes a log file may have, how many files are kept) by the annotation of the spec: 0 bytes
    for any length, 0 files for no log at all."""
    size, _, files = spec.get("annotations", {}).get(LOG_ANNOTATION, "0,1").partition(",")
    return int(size), int(files)


def _join_pid_namespace(namespaces: list[dict[str, str]]) -> None:
    for namespace in namespaces:
        if namespace["type"] == "pid" and namespace.get("path"):
            fd = os.open(namespace["path"], os.O_RDONLY | os.O_CLOEXEC)
            process.setns(fd, process.CLONE_NEWPID)
            os.close(fd)


def _write_whole(path: str, data: bytes) -> None:
    """Writes a file that is either there with all its bytes or not there."""
    fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.write(fd, data)
    os.close(fd)
    os.rename(f"{path}.new", path)


def _complain(state_dir: str, who: str, fault: BaseException) -> None:
    """Leaves the traceback of a failure nobody is there to see."""
    import traceback

    text = "".join(traceback.format_exception(fault))
    _write_whole(f"{state_dir}/{who}.error", text.encode())
