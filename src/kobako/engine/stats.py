"""stats: what running containers use of the machine, summed up from /proc.

Few containers have a cgroup of their own, so nobody else has counted: a process that ended without
having been waited for by another of the container is missing.
"""

from __future__ import annotations

import os
import time

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine

# Fields of /proc/PID/stat after the name, from 0 (proc(5) counts from 1, and the name is 2).
_TIMES, _THREADS, _RESIDENT = slice(11, 15), 17, 21


class Use(Record):
    """What a container has used up to now, bytes and nanoseconds; `threads` and `memory` at the
    moment."""

    at_ns: int = 0
    cpu_ns: int = 0
    memory: int = 0
    received: int = 0
    sent: int = 0
    read: int = 0
    written: int = 0
    threads: int = 0


class Stats(Record):
    """`cpu` in per cent of one core, since the last look; `limit` is the container's of memory, or
    the machine's memory; 0 for a container that does not run."""

    container: Container
    use: Use
    cpu: float
    limit: int


class Meter:
    """Looks at containers, again and again."""

    def __init__(self) -> None:
        self._last: dict[str, Use] = {}
        self._limit = os.sysconf("SC_PAGESIZE") * os.sysconf("SC_PHYS_PAGES")

    def look(self, containers: Sequence[Container]) -> list[Stats]:
        """A container that is seen for the first time has used no processor yet."""
        return [self._look(container) for container in containers]

    def _look(self, container: Container) -> Stats:
        if not container.running:
            self._last.pop(container.id, None)
            return Stats(container, Use(), 0.0, 0)
        now = use(container.state.pid)
        before = self._last.get(container.id, now)
        self._last[container.id] = now
        span = now.at_ns - before.at_ns
        cpu = 100 * max(0, now.cpu_ns - before.cpu_ns) / span if span else 0.0
        return Stats(container, now, cpu, min(_limit(container) or self._limit, self._limit))


def _limit(container: Container) -> int:
    """How much memory its cgroup allows a container, bytes; 0 where nothing is enforced."""
    memory: int = container.document["HostConfig"].get("Memory", 0)
    if memory <= 0:
        return 0
    from kobako.runtime import cgroup

    here = cgroup.places(os.path.join(container.state_dir, "cgroup"))
    return memory if any("memory" in controllers for _, controllers, _ in here) else 0


def select(engine: Engine, names: Sequence[str], *, everything: bool) -> list[Container]:
    """Those named, or all that run, or all; `NotFound`."""
    from kobako.engine import containers

    if names:
        return [containers.find(engine, name) for name in names]
    return containers.select(engine, everything=everything, filters={})


def use(first: int) -> Use:
    """Of the container whose first process this is."""
    from kobako.runtime import control

    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    page = os.sysconf("SC_PAGESIZE")
    ticks = memory = read = written = threads = 0
    for pid in control.processes(first):
        fields = _text(pid, "stat").rpartition(b")")[2].split()
        if not fields:
            continue
        ticks += sum(map(int, fields[_TIMES]))
        threads += int(fields[_THREADS])
        share = _numbers(pid, "smaps_rollup").get(b"Pss", 0) << 10
        memory += share or int(fields[_RESIDENT]) * page
        blocks = _numbers(pid, "io")
        read += blocks.get(b"read_bytes", 0)
        written += blocks.get(b"write_bytes", 0)
    received, sent = _traffic(first)
    return Use(time.monotonic_ns(), ticks * tick, memory, received, sent, read, written, threads)


def _traffic(first: int) -> tuple[int, int]:
    """(bytes received, sent) by interfaces of a network of its own, as docker counts."""
    try:
        if os.stat(f"/proc/{first}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino:
            return 0, 0
    except OSError:
        return 0, 0
    received = sent = 0
    for line in _text(first, "net/dev").splitlines()[2:]:
        name, _, counts = line.partition(b":")
        if name.strip() != b"lo":
            received += int(counts.split()[0])
            sent += int(counts.split()[8])
    return received, sent


def _numbers(pid: int, name: str) -> dict[bytes, int]:
    """Lines `name: number ...`."""
    found = {}
    for line in _text(pid, name).splitlines():
        words = line.split()
        if len(words) > 1 and words[0].endswith(b":") and words[1].isdigit():
            found[words[0][:-1]] = int(words[1])
    return found


def _text(pid: int, name: str) -> bytes:
    """A file of /proc; nothing of a process that has ended or that we may not look at."""
    try:
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
            return file.readall()
    except OSError:
        return b""
