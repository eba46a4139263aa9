"""top: the processes of a container, as ps(1) shows them."""

from __future__ import annotations

import os
import time

from kobako.errors import Conflict, Invalid, NotFound, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.engine.engine import Engine

Rows = list[list[str]]
TITLES = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]


def top(engine: Engine, name: str, options: Sequence[str] = ()) -> Rows:
    """The titles, then a row for each process of a running container; pids are the machine's.

    With `options` it is the machine's ps that is asked. Without, /proc is read, and users are the
    container's: numbers of its user namespace, by the names they have here.
    Raises `Conflict` when it does not run, `Unsupported` when there is no ps, `Invalid` when ps
    does not like its options.
    """
    from kobako.engine import containers, recording
    from kobako.runtime import control

    container = containers.find(engine, name)
    if container.state.status == "restarting":
        from kobako.engine import container_control

        container_control.not_restarting(container)
    if not container.running:
        raise Conflict(f"Container {container.id} is not running")
    recording.container(engine, container, "top")
    pids = control.processes(container.state.pid)
    if options:
        return _chosen(_ask_ps(engine.settings.path, options, pids), frozenset(pids))
    machine = _Machine(container.state.pid)
    rows = [row for row in map(machine.row, pids) if row]
    return [TITLES, *rows]


class _Machine:
    """What turns the numbers of /proc into those of ps."""

    def __init__(self, first: int) -> None:
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._now = time.time()
        self._uids = _uid_map(first)

    def row(self, pid: int) -> list[str]:
        """The row of a process; empty when it has just ended."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                head, _, tail = file.read().rpartition(b")")
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().rstrip(b"\0").split(b"\0")
            uid = _effective_uid(pid)
        except (FileNotFoundError, ProcessLookupError):
            return []
        # proc(5): these begin with the third field of stat, the state
        fields = tail.split()
        used = (int(fields[11]) + int(fields[12])) / self._ticks
        age = max(self._uptime - int(fields[19]) / self._ticks, 0.0)
        name = head.partition(b"(")[2]
        command = b" ".join(words) or b"[%b]" % name
        if fields[0] == b"Z":
            command = b"[%b] <defunct>" % name
        return [
            self._user(uid),
            str(pid),
            fields[1].decode(),
            str(min(int(used * 100 / age), 99) if age >= 1 else 0),
            _start(self._now - age, self._now),
            _terminal(int(fields[4])),
            _clock(int(used)),
            "".join(c if c.isprintable() else "?" for c in command.decode(errors="replace")),
        ]

    def _user(self, uid: int) -> str:
        import pwd

        for inside, outside, count in self._uids:
            if outside <= uid < outside + count:
                uid += inside - outside
                break
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)


def _effective_uid(pid: int) -> int:
    # Not the owner of /proc/PID, who is root where the process may not be looked into.
    with open(f"/proc/{pid}/status", "rb") as file:
        for line in file:
            if line.startswith(b"Uid:"):
                return int(line.split()[2])
    raise ProcessLookupError


def _uid_map(pid: int) -> list[list[int]]:
    """(inside, outside, count) of a process's user namespace."""
    try:
        with open(f"/proc/{pid}/uid_map", "rb") as file:
            return [[int(number) for number in line.split()] for line in file]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _start(start: float, now: float) -> str:
    """When it began: the hour, on another day the day, in another year that."""
    then, today = time.localtime(start), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%b%d" if then[0] == today[0] else "%Y", then)


def _terminal(number: int) -> str:
    """A terminal's name by its device number (devices.txt: 136-143 are pseudo terminals)."""
    major, minor = os.major(number), os.minor(number)
    if 136 <= major <= 143:
        return f"pts/{(major - 136) * 256 + minor}"
    if major == 4:
        return f"tty{minor}" if minor < 64 else f"ttyS{minor - 64}"
    return "?"


def _clock(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{text}" if days else text


def _ask_ps(path: str, options: Sequence[str], pids: Sequence[int]) -> str:
    """What ps prints, of these processes alone where it can be told so."""
    import subprocess

    places = [f"{directory}/ps" for directory in path.split(":") if directory]
    program = next((p for p in places if os.access(p, os.X_OK)), None)
    if program is None:
        raise Unsupported(
            "ps is not installed on this machine, and only it knows these options",
            hint="Without options `top` needs no ps.",
        )
    wanted = ("-q", ",".join(map(str, pids)))
    # Some options do not go together with -q.
    for words in ((*wanted, *options), options):
        said = subprocess.run([program, *words], capture_output=True, check=False)
        if said.returncode == 0:
            return said.stdout.decode(errors="replace")
    reason = said.stderr.decode(errors="replace").partition("\n")[0]
    raise Invalid(f"ps: {reason or f'it ended with {said.returncode}'}")


def _chosen(text: str, pids: frozenset[int]) -> Rows:
    """The titles and the rows of these processes; a row of a thread follows its process's."""
    lines = [line.split() for line in text.splitlines()]
    if not lines or "PID" not in lines[0]:
        raise NotFound("Couldn't find PID field in ps output")
    titles = lines[0]
    at = titles.index("PID")
    rows, within = [titles], False
    for fields in lines[1:]:
        if len(fields) <= at:
            continue
        if fields[at] != "-":
            within = fields[at].isdigit() and int(fields[at]) in pids
        if within:
            last = len(titles) - 1
            rows.append([*fields[:last], " ".join(fields[last:])])
    return rows
