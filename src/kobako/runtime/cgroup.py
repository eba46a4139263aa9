"""The cgroup of a container that has limits, as the file `cgroup` of its state directory names it.

A line for each directory: the version (1 or 2), the controllers, the path. The file is written
before the directories are made, so that whoever comes after a `kill -9` finds them by it.

A detached monitor's interpreter has this module, too: it imports nothing but what is built in.
"""

from __future__ import annotations

import posix
import time

_SIGKILL = 9
_TRIES, _PAUSE_S = 200, 0.01  # a killed process is in its cgroup until it has ended
Place = tuple[int, list[str], str]
"""(version, controllers, directory)"""


def places(path: str = "cgroup", dir_fd: int | None = None) -> list[Place]:
    """What a file of such lines says; [] when there is none."""
    found = []
    for line in _read(path, dir_fd).splitlines():
        version, _, rest = line.partition(" ")
        controllers, _, directory = rest.partition(" ")
        if version in ("1", "2") and directory.startswith("/"):
            found.append((int(version), controllers.split(","), directory))
    return found


def line(place: Place) -> str:
    """Of such a file."""
    version, controllers, directory = place
    return f"{version} {','.join(controllers)} {directory}\n"


def join(here: list[Place], pid: int = 0) -> None:
    """Put a process into it, the caller by default; raises `OSError`."""
    for _, _, directory in here:
        fd = posix.open(directory + "/cgroup.procs", posix.O_WRONLY | posix.O_CLOEXEC)
        try:
            posix.write(fd, b"%d" % pid)
        finally:
            posix.close(fd)


def oom_killed(here: list[Place]) -> bool:
    """Whether the kernel has killed a process of it for want of memory."""
    for version, controllers, directory in here:
        if "memory" in controllers:
            name = "memory.oom_control" if version == 1 else "memory.events"
            for entry in _read(f"{directory}/{name}").splitlines():
                if entry.startswith("oom_kill "):
                    return entry.split()[1] != "0"
    return False


def remove(here: list[Place]) -> bool:
    """Kill what is left in it and take it away; whether nothing is left. Idempotent."""
    gone = [_remove(directory) for _, _, directory in here]
    return all(gone)


def end(state: int) -> bool:
    """Of a container that has ended, by its state directory: take its cgroup away; `oom_killed`."""
    here = places("cgroup", state)
    killed = oom_killed(here)
    if remove(here):
        try:
            posix.unlink("cgroup", dir_fd=state)
        except OSError:  # the state directory was removed under us
            pass
    return killed


def _remove(directory: str) -> bool:
    for _ in range(_TRIES):
        try:
            posix.rmdir(directory)
            return True
        except FileNotFoundError:
            return True
        except PermissionError:
            return False
        except OSError:  # EBUSY: there are processes, or cgroups below
            for pid in _read(f"{directory}/cgroup.procs").split():
                try:
                    posix.kill(int(pid), _SIGKILL)
                except OSError:
                    pass
            for name in _below(directory):
                _remove(f"{directory}/{name}")
        time.sleep(_PAUSE_S)
    return False


def _below(directory: str) -> list[str]:
    try:
        with posix.scandir(directory) as entries:
            return [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _read(path: str, dir_fd: int | None = None) -> str:
    """A small file; nothing of one that is not there."""
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC, dir_fd=dir_fd)
    except OSError:
        return ""
    try:
        whole = b""
        while data := posix.read(fd, 65536):
            whole += data
        return whole.decode()
    except OSError:
        return ""
    finally:
        posix.close(fd)
