"""Starting a container: this process, the monitor it forks, and the first process that one clones.

    K, the caller ── fork ── M, the monitor ── clone(NEW*) ── the container's first process
         │ control channel       │ setup channel: master, listener, error or success
         └───────────────────────┘

M is the parent, so only M reaps; K may die and the container goes on. Success is known by the setup
channel closing, which execve does.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys
import time

from kobako import fastjson
from kobako.errors import Conflict, Invalid, StartFailed
from kobako.linux import process
from kobako.linux.channel import Channel
from kobako.runtime import init, program
from kobako.runtime import monitor as monitor_script
from kobako.runtime.bundle import Bundle, Interception, Plan, Stdio
from kobako.runtime.container import Container
from kobako.runtime.monitor import Monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from typing import Any, NoReturn
else:
    import _signal  # `signal` itself imports enum: 2 ms

_SIGKILL = 9
_LOCK_TRIES, _LOCK_PAUSE_S = 40, 0.005  # `state` may hold the lock for an instant


def start(
    bundle: Bundle,
    *,
    state_dir: str,
    io: Stdio | None = None,
    detach: bool = False,
    intercept: Interception | None = None,
    on_exit: tuple[str, ...] = (),
    tied: bool = False,
) -> Container:
    """Starts the container of a bundle; returns once its program runs.

    state_dir: made when missing; see `runtime.state`. One container at a time: `Conflict` else.
    io: the caller's descriptors; ignored but for `hold_stdin` when `detach`.
    detach: the monitor becomes a small process of its own, and the caller need not stay.
    on_exit: a command (absolute path first) the detached monitor turns into at the very end.

    tied: the container does not outlive the caller: when that ends in whatever way, or lets go of
    it (`Container.end`), it is killed.

    Raises `StartFailed` with docker's exit code when the container cannot be made (125) or its
    program is missing (127) or not executable (126); nothing is left running then.
    """
    process.require_single_thread("start a container")
    io = io or Stdio()
    _check(bundle)
    plan = Plan(bundle, state_dir, intercept, on_exit, tied)
    lock = _acquire(state_dir)
    ours, theirs = Channel.pair()
    terminal = bool(bundle.spec["process"].get("terminal"))
    container = Container(state_dir, terminal, io, ours)
    try:
        io = container.monitors_io(detach)
        child = os.fork()
        if child == 0:
            ours.close()
            if detach and os.fork():
                os._exit(0)  # the monitor is nobody's child: a caller that lives on need not reap
            keep = {lock, *(intercept.fds if intercept else ())}
            _Launch(io, detach, theirs).run(lambda: (plan, lock), keep)
    finally:
        os.close(lock)
        theirs.close()
        container.forget_pump_end()
    try:
        container.await_start(child, detach)
    except BaseException:
        if tied:
            container.end()
        raise
    return container


def obey(
    control: Channel,
    io: Stdio,
    detach: bool,
    prepare: Callable[[], None],
    plan_of: Callable[[Any], Plan],
) -> NoReturn:
    """The monitor of an `ahead.Ahead`: gets ready, then starts what it is told to, if anything."""

    def obtain() -> tuple[Plan, int] | None:
        prepare()
        message, fds = control.receive()
        if not message:
            return None
        plan = plan_of(marshal.loads(os.pread(fds[0], os.fstat(fds[0]).st_size, 0)))
        os.close(fds[0])
        _check(plan.bundle)
        return plan, _acquire(plan.state_dir)

    _Launch(io, detach, control).run(obtain, set())


def _check(bundle: Bundle) -> None:
    spec = bundle.spec
    if not isinstance(spec.get("process"), dict) or not isinstance(spec.get("root"), dict):
        raise Invalid(f"the bundle {bundle.path}: config.json lacks process or root")
    if not spec["process"].get("args"):
        raise Invalid(f"the bundle {bundle.path}: no command specified")
    if not str(spec.get("ociVersion", "")).startswith("1."):
        raise Invalid(f"the bundle {bundle.path}: ociVersion {spec.get('ociVersion')} is not 1.x")


def _acquire(state_dir: str) -> int:
    """The lock a monitor holds for its life; makes the directory."""
    import fcntl

    os.makedirs(state_dir, mode=0o700, exist_ok=True)

    fd = os.open(f"{state_dir}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_S)
    else:
        os.close(fd)
        raise Conflict(f"the container of {state_dir} is running already")
    for name in ("exit", "pid", "paused"):
        try:
            os.unlink(f"{state_dir}/{name}")
        except FileNotFoundError:
            pass
    return fd


class _Launch:
    """The monitor from its fork until the container runs (and, with a client, to the end)."""

    def __init__(self, io: Stdio, detach: bool, control: Channel) -> None:
        self.io = io
        self.detach = detach
        self.control = control
        self.plan: Plan | None = None
        self.lock = -1
        self.pid = 0
        self.pidfd = -1
        self.serve_pid = 0
        self.held = -1

    def run(self, obtain: Callable[[], tuple[Plan, int] | None], keep: set[int]) -> NoReturn:
        """Never returns. `obtain` gives what to start and its lock; `keep` are descriptors that
        stay open besides the client's streams."""
        try:
            gc.disable()  # a descriptor closed below must not be closed again by its old owner
            self._stand_apart(keep)
            obtained = obtain()
            if obtained is not None:
                self.plan, self.lock = obtained
                self._keep(self._launch(self.plan))
        except BaseException as fault:
            program.report(self.control, fault)
            self._record(fault)
        finally:
            os._exit(0)

    def _stand_apart(self, keep: set[int]) -> None:
        """Leaves the caller's session, signals and descriptors."""
        os.setsid()
        for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT):
            _signal.signal(number, _signal.SIG_IGN)
        _signal.signal(_signal.SIGTSTP, _signal.SIG_IGN)
        self._drop_descriptors(keep)

    def _launch(self, plan: Plan) -> Monitor:
        spec = plan.bundle.spec
        flags = init.clone_flags(spec)
        terminal = bool(spec["process"].get("terminal"))
        state = os.open(plan.state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        log_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        log = os.open(f"{plan.state_dir}/log", log_flags, 0o600)
        sweep = not flags & process.CLONE_NEWPID
        if sweep:
            process.set_child_subreaper()
        streams, stdio = self._make_streams(terminal)
        setup, theirs = Channel.pair()
        _join_pid_namespace(spec)
        filter_program = plan.intercept.program if plan.intercept else b""
        self.pid = process.clone(flags)
        if self.pid == 0:
            init.run(plan.bundle, theirs, stdio, filter_program)
        theirs.close()
        for fd in {*stdio} - {-1}:
            os.close(fd)
        self.pidfd = os.pidfd_open(self.pid)
        master = self._follow_setup(setup)
        if master >= 0:
            streams = {master: 1}
        monitor = Monitor(
            self.pid, self.pidfd, state, log, self.lock, streams,
            self.serve_pid, self.held, sweep, plan.on_exit,
        )  # fmt: skip
        self._write_pid(plan.state_dir, terminal)
        told = self.control.send(
            b"R%d" % self.pid, (self.pidfd, master) if master >= 0 else (self.pidfd,)
        )
        # The client's terminal and signal handlers are ready before it is shown anything.
        if told and not self.detach and self.control.receive()[0]:
            return self._attached(monitor)
        return self._left_alone(monitor)

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
        if terminal:
            if self.io.stdin >= 0:
                os.close(self.io.stdin)  # the client writes to the terminal itself
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
        about_to_exec = False
        refusal: StartFailed | None = None
        while True:
            message, fds = setup.receive()
            kind = message[:1]
            if kind == b"M":
                master = fds[0]
            elif kind == b"L":
                self._serve(fds[0], {master, setup.fileno()} - {-1})
            elif kind == b"X":
                about_to_exec = True
            elif kind == b"E":
                refusal = program.failure(message)
            else:
                break
        setup.close()
        if refusal is None and about_to_exec:
            return master
        os.waitpid(self.pid, 0)
        if self.serve_pid:
            os.waitpid(self.serve_pid, 0)
        raise refusal or StartFailed("the container's first process was killed while being set up")

    def _serve(self, listener: int, unwanted: set[int]) -> None:
        """A process for the supervisor of intercepted calls."""
        assert self.plan is not None and self.plan.intercept is not None
        intercept = self.plan.intercept
        self.serve_pid = os.fork()
        if self.serve_pid:
            os.close(listener)
            return
        try:
            process.close_all_but({listener, *intercept.fds})
            intercept.serve(listener, self.pid)
        except BaseException as fault:
            _complain(self.plan.state_dir, "supervisor", fault)
            os._exit(1)
        finally:
            os._exit(0)

    def _write_pid(self, state_dir: str, terminal: bool) -> None:
        document = {
            "pid": self.pid,
            "start_time": process.start_time(self.pid),
            "monitor": os.getpid(),
            "started_ns": time.time_ns(),
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

    def _keep(self, monitor: Monitor) -> None:
        """Serves the client to the end; without the client, carries on detached."""
        if not monitor.watch():
            self._left_alone(monitor)
        code = monitor.finish()
        monitor.flush()
        self.control.send(b"Z%d" % code)

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
        monitor.control = -1
        monitor.sinks.clear()
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


def _join_pid_namespace(spec: dict[str, Any]) -> None:
    for namespace in spec.get("linux", {}).get("namespaces") or ():
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
