"""The monitor from its fork until the container runs (and, with a client, to the end)."""

from __future__ import annotations

import os
import sys
import time

from kobako import fastjson
from kobako.errors import StartFailed
from kobako.linux import process
from kobako.linux.channel import Channel
from kobako.runtime import monitor as monitor_script
from kobako.runtime import outcome
from kobako.runtime.bundle import LOG_ANNOTATION, Plan, Stdio
from kobako.runtime.first import First
from kobako.runtime.monitor import Monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Iterable
    from typing import Any, NoReturn

    from kobako.runtime.guests import Guests
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
        self.first: First | None = None
        self.supervision: Supervision | None = None
        self.limited = False

    @property
    def filter_program(self) -> bytes:
        return self.plan.intercept.program if self.plan and self.plan.intercept else b""

    def run(self, begin: Callable[[], bool], *, again: bool = False) -> NoReturn:
        """Never returns. `begin` makes the first process, stands apart and knows the plan then, or
        says that there is nothing to do. `again`: it is called for every container the client asks
        for, one by one."""
        try:
            while begin():
                assert self.plan is not None
                self._tend(self._complete(self.plan))
                if not again or not self._hear_of_another():
                    break
        except BaseException as fault:
            self.call_off()
            outcome.report(self.control, fault)
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
        from kobako.runtime import init

        self.stand_apart(keep)
        bundle, filter_program = self.plan.bundle, self.filter_program
        self.clone(
            bundle.namespaces,
            bundle.terminal,
            lambda channel, stdio: init.run(channel, stdio, lambda: (bundle, filter_program)),
        )
        self.settle()
        self.supervise()
        self.confine()
        return True

    def clone(
        self,
        namespaces: list[dict[str, str]],
        terminal: bool,
        live: Callable[[Channel, tuple[int, int, int]], None],
    ) -> None:
        """Makes the container's first process, see `First.clone`. `settle` must come after it."""
        self.first = First(self.io, terminal=terminal, detach=self.detach)
        self.first.clone(namespaces, live)

    def settle(self) -> None:
        """Leaves to the first process what is its own."""
        assert self.first is not None
        self.first.settle()
        self.io = self.io.replace(stdin=-1)

    def call_off(self) -> None:
        """Nothing is left of the first process and its supervisor, if there are any."""
        if self.first:
            self.first.kill()
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
        for now. Once; after `clone` only where descriptors 0, 1 and 2 are all open."""
        for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT):
            _signal.signal(number, _signal.SIG_IGN)
        _signal.signal(_signal.SIGTSTP, _signal.SIG_IGN)
        self.apart, self._keep = True, keep
        own = self.first.descriptors if self.first else set()
        self._drop_descriptors({*keep, *besides, *own})

    def _complete(self, plan: Plan) -> Monitor:
        first = self.first
        assert first is not None
        first.let_go()
        if plan.ephemeral and not self.detach:
            self._keep_mounts(first.pid)
        state = os.open(plan.state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        size, files = log_bounds(plan.bundle.spec)
        log_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        log = os.open(f"{plan.state_dir}/log", log_flags, 0o600) if files else -1
        wanted = self.detach or plan.bundle.terminal or self.io.hold_stdin or not files
        receives = wanted and not plan.tied
        guests = self._open(state) if receives else None
        master = self._follow_setup(first)
        monitor = Monitor(
            first.pid, first.pidfd, state, log, self.lock,
            {master: 1} if master >= 0 else first.streams, 0, first.held, first.sweep,
            plan.on_exit, size, files, -1, time.time_ns(), plan.journal,
        )  # fmt: skip
        monitor.guests = guests
        if self.limited:
            from kobako.runtime import cgroup

            monitor.limited, monitor.cgroup = 1, cgroup
        self._write_pid(first.pid, plan.bundle.terminal, monitor.began_ns)
        monitor.record(b"start")
        told = self.control.send(
            b"R%d" % first.pid, (first.pidfd, master) if master >= 0 else (first.pidfd,)
        )
        # The client's terminal and signal handlers are ready before it is shown anything.
        attended = told and not self.detach and self.next_of(self.control)[0]
        if self.supervision:  # which by now may be a process, whose end is to be waited for
            monitor.supervised_by(self.supervision)
        return self._attached(monitor) if attended else self._left_alone(monitor)

    def _keep_mounts(self, pid: int) -> None:
        """Until we end: so they are taken down then, and not before the container's end is told."""
        try:
            os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
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

    def _follow_setup(self, first: First) -> int:
        """Hears the first process out; the terminal's master, or -1. Raises `StartFailed`."""
        master = -1

        def hear(message: bytes, fds: list[int]) -> None:
            nonlocal master
            if message == b"M":
                master = fds[0]
            elif self.supervision:
                self.supervision.hear(message, fds)

        who = "the container's first process"
        refusal = outcome.hear_out(lambda: self.next_of(first.setup), hear, who)
        first.setup.close()
        if refusal is None:
            return master
        if self.supervision:
            self.supervision.close()
        os.waitpid(first.pid, 0)
        raise refusal

    def supervise(self) -> None:
        """Sees to it that intercepted calls are answered, where the plan has any."""
        if self.plan and self.first and self.plan.intercept:
            from kobako.runtime.supervision import Supervision

            directory = self.plan.state_dir
            self.supervision = Supervision(
                self.plan.intercept,
                self.first.pid,
                lambda fault: _complain(directory, "supervisor", fault),
                at_once=self.detach,  # the monitor will be a program that knows nothing of it
            )

    def next_of(self, channel: Channel) -> tuple[bytes, list[int]]:
        """The next message; meanwhile intercepted calls are answered, as nobody waits for them."""
        return self.supervision.next_of(channel) if self.supervision else channel.receive()

    def confine(self) -> None:
        """Puts the first process, which makes its mounts meanwhile, into a cgroup, where the plan
        has limits."""
        assert self.plan is not None and self.first is not None
        linux = self.plan.bundle.spec.get("linux", {})
        if "cgroupsPath" in linux:
            from kobako.runtime import cgroup_confine

            self.limited = cgroup_confine.confine(self.plan.state_dir, linux, self.first.pid)

    def _write_pid(self, pid: int, terminal: bool, began_ns: int) -> None:
        assert self.plan is not None
        document = {
            "pid": pid,
            "start_time": process.start_time(pid),
            "monitor": os.getpid(),
            "started_ns": began_ns,
            "terminal": terminal,
        }
        _write_whole(f"{self.plan.state_dir}/pid", fastjson.dumps(document))

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
        _signal.pidfd_send_signal(monitor.pidfd, _SIGKILL)
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
