"""Health checks: docker's HEALTHCHECK and `--health-*`, what is counted and what is shown.

Beside a container that runs and has a check there is `kobako __probe ID PID` (`engine.prober`),
which carries it out and keeps in the state directory

  health  JSON: a `Health` as a list

Of a run that nothing has been found out about yet the file may tell what was before, or not be
there: `shown` says what is so. This module is imported for containers with a check alone.
"""

from __future__ import annotations

import os
import sys

from kobako import fastjson
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
VERB = "__probe"
_SECOND = 1_000_000_000
_KEPT = 5  # results
_SHELL = ["/bin/sh", "-c"]


class Check(Record):
    """What is executed, and when; times are nanoseconds. `start_interval` is the interval in the
    start period, 0 where it is no other."""

    command: tuple[str, ...]
    interval: int = 30 * _SECOND
    timeout: int = 30 * _SECOND
    retries: int = 3
    start_period: int = 0
    start_interval: int = 0


class Probe(Record):
    """What has come of one execution; -1 where there is no exit code."""

    start_ns: int
    end_ns: int
    exit_code: int
    output: str


class Health(Record):
    """`streak` are the failures in a row of the run that began at `started_ns`; `log` has the last
    results, also those of earlier runs, newest last."""

    status: str = STARTING
    streak: int = 0
    log: tuple[Probe, ...] = ()
    started_ns: int = 0

    def anew(self, started_ns: int) -> Health:
        """What is known of a run that has just begun."""
        return Health(log=self.log, started_ns=started_ns)


def check(config: dict[str, Any]) -> Check | None:
    """The check docker's Config of a container asks for, if it asks for one that is carried out."""
    wanted = config.get("Healthcheck") or {}
    kind, *words = wanted.get("Test") or ["NONE"]
    if kind == "CMD-SHELL":
        words = [*(config.get("Shell") or _SHELL), *words]
    elif kind != "CMD" or not words:
        return None
    found = Check(tuple(words))
    return found.replace(
        interval=wanted.get("Interval") or found.interval,
        timeout=wanted.get("Timeout") or found.timeout,
        retries=wanted.get("Retries") or found.retries,
        start_period=wanted.get("StartPeriod") or 0,
        start_interval=wanted.get("StartInterval") or 0,
    )


def counted(health: Health, check: Check, probe: Probe) -> Health:
    """The health after a probe: so many failures in a row make a container unhealthy, and those in
    the start period, which a success ends, do not count."""
    health = health.replace(log=(*health.log, probe)[-_KEPT:])
    if probe.exit_code == 0:
        return health.replace(status=HEALTHY, streak=0)
    if in_start_period(health, check, probe.start_ns):
        return health
    streak = health.streak + 1
    status = UNHEALTHY if streak >= check.retries else health.status
    return health.replace(status=status, streak=streak)


def in_start_period(health: Health, check: Check, now_ns: int) -> bool:
    return health.status == STARTING and now_ns - health.started_ns < check.start_period


def pause_ns(health: Health, check: Check, now_ns: int) -> int:
    """How long it is to the next probe after one that has ended now, or after the start."""
    if check.start_interval and in_start_period(health, check, now_ns):
        return check.start_interval
    return check.interval


def shown(container: Container) -> Health | None:
    """docker's Health of a container; None without a check, and before the first start. One that
    does not run, or is paused, is unhealthy."""
    if check(container.config) is None:
        return None
    now, known = container.state, read(container.state_dir)
    if known is None:
        if not (now.started_ns or container.active):
            return None
        known = Health()
    if now.started_ns and known.started_ns != now.started_ns:
        known = known.anew(now.started_ns)
    return known if now.status == "running" else known.replace(status=UNHEALTHY)


def begin(engine: Engine, container_id: str, config: dict[str, Any], pid: int) -> None:
    """Leave a prober beside a container that was just started, whose first process is `pid`, if it
    has a check. Where no process can be made it stays "starting": it runs, after all."""
    from kobako.linux import process

    if check(config) is None:
        return
    program = sys.executable or os.path.realpath("/proc/self/exe")
    words = (program, "-m", "kobako", "--root", engine.settings.root, VERB, container_id, str(pid))
    try:
        child = os.fork()
    except OSError:
        return
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)  # the prober is nobody's child
        null = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        process.close_all_but(set())
        os.execv(program, words)
    finally:
        os._exit(125)


def read(state_dir: str) -> Health | None:
    """What was written last; None where nothing was."""
    try:
        with open(f"{state_dir}/health", "rb") as file:
            status, streak, log, started_ns = fastjson.restore(file.read())
        return Health(status, streak, tuple(Probe(*fields) for fields in log), started_ns)
    except (OSError, ValueError, TypeError):
        return None


def write(state_dir: str, health: Health) -> None:
    """In one step. That this cannot be done (the container is removed, the disk is full) stops
    nobody."""
    log = [probe.as_tuple() for probe in health.log]
    path = f"{state_dir}/health"
    try:
        with open(path + ".new", "wb") as file:
            file.write(fastjson.dumps([health.status, health.streak, log, health.started_ns]))
        os.rename(path + ".new", path)
    except OSError:
        pass
