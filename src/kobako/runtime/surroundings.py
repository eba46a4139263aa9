"""What lies around the process of every container, whatever its image is: known before that is.

These parts of a runtime-spec document are enough to clone the first process and to mount /proc,
/dev and /sys for it, while the rest is still being found out; `spec.document` has them unchanged.
"""

from __future__ import annotations

import os

from kobako.errors import Invalid
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

MASKED_PATHS = (
    "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
    "/sys/devices/virtual/powercap",
)  # fmt: skip
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
SHM_SIZE = 64 << 20
# docker's: everything may be made (CAP_MKNOD), but only these may be opened.
_DEVICE_RULES: tuple[dict[str, Any], ...] = (
    {"allow": False, "access": "rwm"},
    *(
        {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"}
        for major, minor in ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2))
    ),
    {"allow": True, "type": "c", "major": 136, "access": "rwm"},
    {"allow": True, "type": "c", "access": "m"},
    {"allow": True, "type": "b", "access": "m"},
)
# Who is not root may listen on any port of a network of the container's own, as with docker.
_FIRST_PORT = "net.ipv4.ip_unprivileged_port_start"
_FIRST_PORT_FILE = "/proc/sys/" + _FIRST_PORT.replace(".", "/")
_LOCKED = ("nosuid", "noexec", "nodev")


class Surroundings(Record):
    """`network`, `pid`, `ipc`, `uts` and `cgroupns` are "private" or "host". `privileged`:
    devices may be opened, and /sys be written to. `bare_paths`: no path is masked or read-only.
    `shm_size` in bytes."""

    network: str = "private"
    pid: str = "private"
    ipc: str = "private"
    uts: str = "private"
    cgroupns: str = "private"
    privileged: bool = False
    bare_paths: bool = False
    shm_size: int = SHM_SIZE


def document(around: Surroundings) -> dict[str, Any]:
    """`mounts` and those sections of `linux` that are known already."""
    bare = around.privileged or around.bare_paths
    rules = [dict(rule) for rule in _DEVICE_RULES]
    own_ports = around.network == "private" and _can_be_set(_FIRST_PORT_FILE)
    return {
        "mounts": _mounts(around),
        "linux": {
            "namespaces": namespaces(around),
            "resources": {} if around.privileged else {"devices": rules},
            "maskedPaths": [] if bare else list(MASKED_PATHS),
            "readonlyPaths": [] if bare else list(READONLY_PATHS),
            **({"sysctl": {_FIRST_PORT: "0"}} if own_ports else {}),
        },
    }


def _can_be_set(file: str) -> bool:
    """Not where it is not known, or where who is in a container of others has its /proc."""
    try:
        return not os.statvfs(file).f_flag & os.ST_RDONLY
    except OSError:
        return False


def namespaces(around: Surroundings) -> list[dict[str, str]]:
    """`linux.namespaces`: those that are "private", and one for mounts."""
    kinds = {
        "network": around.network,
        "pid": around.pid,
        "ipc": around.ipc,
        "uts": around.uts,
        "cgroup": around.cgroupns,
    }
    for kind, value in kinds.items():
        if value not in ("private", "host"):
            raise Invalid(f"{kind} namespace: {value} is neither private nor host")
    return [{"type": "mount"}, *({"type": k} for k, v in kinds.items() if v == "private")]


def _mounts(around: Surroundings) -> list[dict[str, Any]]:
    shared = "rw" if around.privileged else "ro"
    mounts = [
        entry("/proc", "proc", "proc", _LOCKED),
        entry("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
        entry(
            "/dev/pts", "devpts", "devpts",
            ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        ),
        entry("/sys", "sysfs", "sysfs", (*_LOCKED, shared)),
        entry("/sys/fs/cgroup", "cgroup", "cgroup", (*_LOCKED, "relatime", shared)),
    ]  # fmt: skip
    if around.ipc == "host":
        if os.path.isdir("/dev/mqueue"):
            mounts.append(entry("/dev/mqueue", "bind", "/dev/mqueue", ("rbind", *_LOCKED)))
        mounts.append(entry("/dev/shm", "bind", "/dev/shm", ("rbind", *_LOCKED)))
    else:
        size = f"size={around.shm_size}"
        mounts.append(entry("/dev/mqueue", "mqueue", "mqueue", _LOCKED))
        mounts.append(entry("/dev/shm", "tmpfs", "shm", (*_LOCKED, "mode=1777", size)))
    return mounts


def entry(target: str, kind: str, source: str, options: Iterable[str]) -> dict[str, Any]:
    """One of the spec's `mounts`."""
    return {"destination": target, "type": kind, "source": source, "options": list(options)}
