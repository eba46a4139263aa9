"""Restart policies: docker's `--restart`, carried out without a daemon.

The monitor of a container with a policy turns at its end into `kobako __restart ID` (`restarter`),
which waits out docker's back-off and starts it again: the same container with the next monitor. It
keeps in the state directory

  restarts  JSON: the list of a `Restarts`
  stopped   what keeps it from being restarted: "cancelled" by `stop`, `kill` and `rm`, or "asked"
            after a signal that is not to end it (docker's hasBeenManuallyStopped)

A restarter (`engine.restarter`) acts while it has the container's directory claimed and at no other
time: killing one that is claimed away from leaves everything as it was.
"""

from __future__ import annotations

import os
import sys
import time

from kobako import fastjson
from kobako.errors import Invalid
from kobako.record import Record
from kobako.runtime import state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine
    from kobako.runtime.state import State

ALWAYS, UNLESS_STOPPED, ON_FAILURE = "always", "unless-stopped", "on-failure"
_VERB = b"__restart"
_FIRST_MS, _MOST_MS, _STEADY_S = 100, 60_000, 10
CANCELLED, _ASKED = b"cancelled", b"asked"
_SIGKILL = 9
_LOOKS, _LOOK_S = 50, 0.001


class Restarts(Record):
    """What has been: `count` restarts, the last after `delay_ms` and an end with `exit_code`
    at `finished_ns`. `restarter` is the pid of who did it, or is about to."""

    count: int = 0
    delay_ms: int = 0
    exit_code: int = 0
    finished_ns: int = 0
    restarter: int = 0


def policy(text: str) -> dict[str, Any]:
    """docker's RestartPolicy of the words of `--restart`; `Invalid`."""
    name, *rest = text.split(":")
    if len(rest) > 1:
        raise Invalid("invalid restart policy format")
    try:
        most = int(rest[0]) if rest else 0
    except ValueError:
        raise Invalid(
            "invalid restart policy format: maximum retry count must be an integer"
        ) from None
    if name not in ("", "no", ALWAYS, UNLESS_STOPPED, ON_FAILURE):
        raise Invalid(f"invalid restart policy '{name}'")
    if most and name != ON_FAILURE:
        raise Invalid(f"maximum retry count cannot be used with restart policy '{name or 'no'}'")
    if most < 0:
        raise Invalid("maximum retry count cannot be negative")
    return {"Name": name or "no", "MaximumRetryCount": most}


def of(document: dict[str, Any]) -> dict[str, Any] | None:
    """The policy of a container that has one."""
    found: dict[str, Any] | None = document["HostConfig"].get("RestartPolicy")
    return found if found and found["Name"] not in ("", "no") else None


def past(state_dir: str) -> Restarts:
    try:
        with open(f"{state_dir}/restarts", "rb") as file:
            return Restarts(*fastjson.restore(file.read()))
    except (OSError, ValueError, TypeError):
        return Restarts()


def look(container_id: str, wanted: dict[str, Any], state_dir: str, now: State) -> State:
    """The state of a container with a policy: "restarting" where it has ended and somebody is
    there to start it again."""
    if now.status in ("running", "paused"):
        return now
    known = past(state_dir)
    if now.status == "created":  # while it is started there is neither pid nor exit
        if _lives(known.restarter, container_id):
            return state.State("restarting", 0, known.exit_code, finished_ns=known.finished_ns)
    elif again(wanted, now, known, stopped(state_dir)):
        if _lives(state.monitor(state_dir), container_id):
            return now.replace(status="restarting")
    else:
        return now
    later = state.state(state_dir)  # it may have been started, and have ended, since we looked
    if (later, past(state_dir)) == (now, known):
        return later
    return look(container_id, wanted, state_dir, later)


def restarter(engine: Engine, container_id: str) -> tuple[str, ...]:
    """The command the monitor of a container with a policy turns into."""
    program = sys.executable or os.path.realpath("/proc/self/exe")
    root = engine.settings.root
    return (program, "-m", "kobako", "--root", root, _VERB.decode(), container_id)


def forbid(container: Container, *, cancel: bool = True) -> None:
    """It is not to be restarted after this end; without `cancel`, only if its policy heeds that.

    Undone by the next `start`. Called before it is sent a signal."""
    if of(container.document) is None or not os.path.isdir(container.state_dir):
        return
    if not cancel and stopped(container.state_dir):
        return
    write(f"{container.state_dir}/stopped", CANCELLED if cancel else _ASKED)


def call_off(container: Container) -> None:
    """End whoever is about to restart a container, after `forbid`. It may have been started at the
    last moment: look again. The caller does not hold the container's directory."""
    from kobako.linux import claim

    if of(container.document) is None:
        return
    held = claim.take(container.directory, wait=True)
    try:
        for pid in {past(container.state_dir).restarter, state.monitor(container.state_dir)}:
            _end(pid, container)
    finally:
        if held is not None:
            os.close(held)


def begin_anew(container: Container) -> None:
    """A user starts it: what has been does not count."""
    for name in ("stopped", "restarts"):
        try:
            os.unlink(f"{container.state_dir}/{name}")
        except FileNotFoundError:
            pass


def again(wanted: dict[str, Any], ended: State, known: Restarts, stopped: bytes) -> bool:
    """docker's restartmanager.ShouldRestart; one that could not be started is not tried again."""
    if stopped == CANCELLED or not ended.started_ns or ended.error:
        return False
    if wanted["Name"] == ON_FAILURE:
        most = wanted["MaximumRetryCount"]
        count = known.count - (known.finished_ns == ended.finished_ns)  # that one is counted
        return ended.exit_code != 0 and (not most or count < most)
    return wanted["Name"] == ALWAYS or not stopped


def delay(known: Restarts, ended: State) -> int:
    """Milliseconds, doubled each time up to a minute, anew once it has run for ten seconds."""
    if not known.delay_ms or ended.finished_ns - ended.started_ns >= _STEADY_S * 10**9:
        return _FIRST_MS
    return min(known.delay_ms * 2, _MOST_MS)


def is_ours(state_dir: str) -> bool:
    """Whether the container has ended under us, and has not been started since."""
    return state.monitor(state_dir) == os.getpid() and os.path.exists(f"{state_dir}/exit")


def _lives(pid: int, container_id: str) -> bool:
    """Whether this process is a restarter of the container, or a monitor that will become one."""
    words = _words(pid) if pid else []
    return _VERB in words and container_id.encode() in words


def _words(pid: int) -> list[bytes]:
    """The command line of a process. Where it has just become another program it has none for a
    moment; a zombie never has one."""
    try:
        for _ in range(_LOOKS):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                line = file.read()
            if line:
                return line.split(b"\0")
            with open(f"/proc/{pid}/stat", "rb") as file:
                if file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X"):
                    break
            time.sleep(_LOOK_S)
    except OSError:
        pass
    return []


def _end(pid: int, container: Container) -> None:
    """Kill a restarter, and wait until it has gone; a monitor of a container that runs is none."""
    import select
    import signal

    try:
        pidfd = os.pidfd_open(pid) if pid else -1
    except ProcessLookupError:
        return
    if pidfd < 0:
        return
    try:
        if not _lives(pid, container.id) or not os.path.exists(f"{container.state_dir}/exit"):
            return
        signal.pidfd_send_signal(pidfd, _SIGKILL)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll()
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def stopped(state_dir: str) -> bytes:
    """b"" when nobody has stopped it."""
    try:
        with open(f"{state_dir}/stopped", "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def write(path: str, data: bytes) -> None:
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.rename(path + ".new", path)
