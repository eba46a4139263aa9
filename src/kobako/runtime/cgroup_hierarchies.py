"""Where this machine's cgroups are, v1, v2 or both (hybrid), and making one for somebody.

Which of them may be used is found out by using them: no version is asked for, no owner looked at.
"""

from __future__ import annotations

import os

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_UNIFIED_NAME = {"blkio": "io"}  # of v1's controllers, what v2 calls otherwise


class Hierarchy(Record):
    """A mounted hierarchy. `own` is this process's cgroup in it, "/" or "/a/b", as the mount shows
    it; "" where it does not. `controllers` by their names in v1."""

    version: int
    mount: str
    own: str
    controllers: tuple[str, ...]

    def bases(self) -> list[str]:
        """Directories below which cgroups may be made, if anywhere: the root, and then what is on
        the way to our own; of a delegated subtree the top comes first."""
        parts = [p for p in self.own.split("/") if p]
        return [self.mount + "".join(f"/{p}" for p in parts[:n]) for n in range(len(parts) + 1)]


def of_this_process() -> list[Hierarchy]:
    with open("/proc/self/mountinfo") as mounts, open("/proc/self/cgroup") as own:
        return read(mounts.read(), own.read())


def read(mountinfo: str, own: str) -> list[Hierarchy]:
    """By the contents of /proc/PID/mountinfo and /proc/PID/cgroup."""
    ours: dict[str, str] = {}
    for line in own.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):  # several of v1, "" of v2
            ours[name] = path
    found: dict[tuple[str, ...], Hierarchy] = {}
    for line in mountinfo.splitlines():
        head, _, tail = line.partition(" - ")
        kind, _, options = tail.split(" ", 2)
        root, mount = head.split(" ")[3:5]
        if kind == "cgroup2":
            shown = _within(root, ours.get("", "/"))
            found.setdefault(("",), Hierarchy(2, mount, shown, _unified(mount)))
        elif kind == "cgroup":
            flags = options.rpartition(" ")[2].split(",")
            known = tuple(name for name in flags if name in ours)
            if known:
                shown = _within(root, ours[known[0]])
                found.setdefault(known, Hierarchy(1, mount, shown, known))
    return list(found.values())


def _unified(mount: str) -> tuple[str, ...]:
    named = {other: name for name, other in _UNIFIED_NAME.items()}
    try:
        with open(f"{mount}/cgroup.controllers") as file:
            return tuple(named.get(word, word) for word in file.read().split())
    except OSError:
        return ()


def _within(root: str, path: str) -> str:
    """A path of the hierarchy as a mount of `root` shows it."""
    if "/.." in path:
        return ""
    if root == "/":
        return path
    return path[len(root) :] or "/" if (path + "/").startswith(root + "/") else ""


class Made(Record):
    """A cgroup others can be made in, "" where there is none; by controller, `why` not."""

    directory: str
    why: dict[str, str]


def make(hierarchy: Hierarchy, path: str, controllers: list[str]) -> Made:
    """Make the cgroup `path` ("/a/b" from the root, "a/b" where we may) with these controllers for
    its children, as far as it goes. Idempotent."""
    bases = [hierarchy.mount] if path.startswith("/") else hierarchy.bases()
    best = Made("", {})
    for base in bases:
        made = _make_below(hierarchy, base, path, controllers)
        if made.directory and not made.why:
            return made
        if not best.directory:
            best = made
    return best


def _make_below(hierarchy: Hierarchy, base: str, path: str, controllers: list[str]) -> Made:
    why: dict[str, str] = {}
    directory = base
    try:
        if hierarchy.version == 2:
            _try_to_move(base)
        for at in _chain(base, path):
            if at != base:
                try:
                    os.mkdir(at, 0o755)
                except FileExistsError:
                    pass
            directory = at
            if hierarchy.version == 2:
                for name in controllers:
                    _enable(at, name, why)
            elif "cpuset" in controllers and at != base:
                inherit_cpuset(at)
        probe = f"{directory}/probe-{os.getpid()}"
        os.mkdir(probe)
        os.rmdir(probe)
    except OSError as fault:
        return Made("", {name: _reason(fault, directory) for name in controllers})
    return Made(directory, why) if len(why) < len(controllers) else Made("", why)


def _chain(base: str, path: str) -> Iterator[str]:
    yield base
    at = base
    for part in path.strip("/").split("/"):
        at = f"{at}/{part}"
        yield at


def _try_to_move(base: str) -> None:
    """Who moves a process writes to the common ancestor's cgroup.procs, too."""
    os.close(os.open(f"{base}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))


def _enable(directory: str, name: str, why: dict[str, str]) -> None:
    """Let children of a cgroup have a controller."""
    name_there = _UNIFIED_NAME.get(name, name)
    file = f"{directory}/cgroup.subtree_control"
    try:
        with open(file) as stream:
            if name_there in stream.read().split():
                return
        put(file, f"+{name_there}")
    except OSError as fault:
        why.setdefault(name, _reason(fault, directory))


def inherit_cpuset(directory: str) -> None:
    """A new cgroup of v1 has no processors and takes no process."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        with open(f"{directory}/{name}") as file:
            if file.read().strip():
                continue
        with open(f"{os.path.dirname(directory)}/{name}") as file:
            put(f"{directory}/{name}", file.read().strip())


def put(file: str, value: str) -> None:
    """One write, as the files of a cgroup want it; `OSError` where the kernel refuses the value."""
    fd = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def _reason(fault: OSError, directory: str) -> str:
    text = (fault.strerror or str(fault)).lower()
    return f"{directory}: {text}"
