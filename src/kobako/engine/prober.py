"""Who carries out a health check: a process beside one run of a container.

Whoever starts a container with a check (`run`, `start`, a restarter) leaves `kobako __probe ID PID`
behind (`health.begin`): nobody's child, in the user namespace of the container, ended with it. Each
probe is a child (`probe_child`), which ends with the prober. When that is killed the container's
health stays as it was written last.
"""

from __future__ import annotations

import os
import select
import time

from kobako.engine import containers, health, recording
from kobako.engine.engine import Engine
from kobako.engine.probe_child import Child
from kobako.errors import Conflict, NotFound
from kobako.linux.inotify import DirectoryWatch
from kobako.runtime import state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Settings
    from kobako.engine.health import Check, Health, Probe

_ENDED, _PAUSED, _LATE = "ended", "paused", "late"
_KILLED, _MOMENT_MS = 128 + 9, 1000
_LONGEST_MS = 1 << 30  # poll(2) takes an int
_GRACE_NS = 5_000_000_000  # for a child that has been told to end


def carry_out(engine: Engine, container_id: str, pid: int) -> None:
    """Check the container until the run of it ends whose first process is `pid`."""
    os.chdir("/")
    state_dir = os.path.join(engine.container_dir(container_id), "state")
    try:
        pidfd = state.open_process(state_dir)
        container = containers.find(engine, container_id)
    except (Conflict, NotFound):
        return  # it has ended, or has been removed already
    engine.store.close()  # no child is to inherit it
    check = health.check(container.config)
    if check is None or container.state.pid != pid:
        return  # it has been started anew: not by who left us here
    known = health.read(state_dir) or health.Health()
    begun = known.anew(container.state.started_ns)
    _Prober(engine.settings, container_id, state_dir, pidfd, check, begun).run()


class _Prober:
    def __init__(
        self,
        settings: Settings,
        container_id: str,
        state_dir: str,
        pidfd: int,
        check: Check,
        begun: Health,
    ) -> None:
        self._settings = settings
        self._id = container_id
        self._state_dir = state_dir
        self._pidfd = pidfd
        self._check = check
        self._health = begun
        self._names = DirectoryWatch(state_dir, names=True)  # of `paused`
        self._paused = False

    def run(self) -> None:
        """To the end of the container. The first probe comes an interval after the start, each
        other one an interval after the end of the one before."""
        now = time.time_ns()
        pause = health.pause_ns(self._health, self._check, now)
        pause = min(pause, max(0, pause - (now - self._health.started_ns)))
        while self._rest(pause):
            probe = self._probe()
            if probe is not None:
                self._count(probe)
            pause = health.pause_ns(self._health, self._check, time.time_ns())

    def _rest(self, nanoseconds: int) -> bool:
        """Waits until the next probe is due; False when the container has ended. After a pause an
        interval is waited out anew."""
        poll = self._poll()
        end = time.monotonic_ns() + nanoseconds
        while True:
            ready = _wait(poll, end)
            if self._pidfd in ready:
                return False
            was_paused = self._paused
            if self._is_paused() or was_paused:
                end = time.monotonic_ns() + self._check.interval
            elif time.monotonic_ns() >= end:
                return True

    def _poll(self) -> select.poll:
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        if self._names.fileno() >= 0:
            poll.register(self._names.fileno(), select.POLLIN)
        return poll

    def _is_paused(self) -> bool:
        """Whether the container is paused: it is unhealthy then, until a probe says otherwise."""
        self._names.wait(0)
        paused = os.path.exists(f"{self._state_dir}/paused")
        if paused and not self._paused:
            self._keep(self._health.replace(status=health.UNHEALTHY))
        self._paused = paused
        return paused

    def _probe(self) -> Probe | None:
        """The result of an execution; None where it has none, as the container was paused or has
        ended meanwhile."""
        start = time.time_ns()
        try:
            child = Child(self._settings, self._id, self._check.command)
        except OSError as fault:
            return health.Probe(start, time.time_ns(), -1, str(fault.strerror))
        cut = self._attend(child)
        code = child.end()
        if cut == _LATE:
            from kobako.build.gotext import duration

            text = f"Health check exceeded timeout ({duration(self._check.timeout)})"
            return health.Probe(start, time.time_ns(), -1, text)
        if cut or self._has_ended(_MOMENT_MS if code == _KILLED else 0) or self._is_paused():
            return None
        return health.Probe(start, time.time_ns(), code, child.text())

    def _has_ended(self, patience_ms: int) -> bool:
        """A program that is killed with the container has ended a moment before that."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(patience_ms))

    def _attend(self, child: Child) -> str:
        """Stays with a child until it has ended; why it was made to, "" where it was not."""
        poll = self._poll()
        poll.register(child.out, select.POLLIN)
        poll.register(child.pidfd, select.POLLIN)
        end, why = time.monotonic_ns() + self._check.timeout, ""
        while True:
            ready = _wait(poll, end)
            if child.out in ready and not child.take():
                poll.unregister(child.out)
            if child.pidfd in ready:
                return why
            if self._pidfd in ready:
                poll.unregister(self._pidfd)
                why = why or _ENDED
            elif self._names.fileno() in ready and self._is_paused() and not why:
                why = _PAUSED
            elif time.monotonic_ns() >= end:
                if why:
                    child.kill()
                why = why or _LATE
            else:
                continue
            child.stop()
            end = time.monotonic_ns() + _GRACE_NS

    def _count(self, probe: Probe) -> None:
        before = self._health.status
        self._keep(health.counted(self._health, self._check, probe))
        if self._health.status == before:
            return
        engine = Engine(self._settings)
        try:
            container = containers.find(engine, self._id)  # by its name of now
            recording.container(engine, container, f"health_status: {self._health.status}")
        except NotFound:
            pass
        engine.store.close()

    def _keep(self, new: Health) -> None:
        self._health = new
        health.write(self._state_dir, new)


def _wait(poll: select.poll, end: int) -> set[int]:
    """The descriptors that are ready, at the latest at a moment of the monotonic clock."""
    left = -((time.monotonic_ns() - end) // 1_000_000)  # rounded up
    return {fd for fd, _ in poll.poll(max(0, min(left, _LONGEST_MS)))}
