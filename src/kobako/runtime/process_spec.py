"""What runs in a container, as the `process` object of a runtime-spec document: a container's first
process, or one of an exec."""

from __future__ import annotations

from kobako.errors import Invalid
from kobako.linux import caps
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEFAULT_CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
    "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
)  # fmt: skip


class Ulimit(Record):
    """A resource limit by docker's name ("nofile"); -1 means unlimited."""

    name: str
    soft: int
    hard: int


class ProcessOptions(Record):
    """What runs: everything already resolved (user names to numbers, PATH in the environment)."""

    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    terminal: bool = False
    size: tuple[int, int] = (0, 0)
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    no_new_privileges: bool = False
    ulimits: tuple[Ulimit, ...] = ()
    oom_score_adj: int = 0


def process(options: ProcessOptions) -> dict[str, Any]:
    """The `process` object: of a container, or of an exec."""
    if not options.args:
        raise Invalid("No command specified")
    names = capability_names(options)
    # Ambient and inheritable stay empty, as docker's: a user other than root has none in effect.
    held = names if options.uid == 0 else []
    result: dict[str, Any] = {
        "terminal": options.terminal,
        "user": {"uid": options.uid, "gid": options.gid, "additionalGids": list(options.groups)},
        "args": list(options.args),
        "env": list(options.env),
        "cwd": options.cwd or "/",
        "capabilities": {"bounding": names, "effective": held, "permitted": held},
        "noNewPrivileges": options.no_new_privileges,
        "oomScoreAdj": options.oom_score_adj,
    }
    if options.terminal and options.size != (0, 0):
        result["consoleSize"] = {"height": options.size[0], "width": options.size[1]}
    if options.ulimits:
        result["rlimits"] = [
            {"type": f"RLIMIT_{u.name.upper()}", "soft": _limit(u.soft), "hard": _limit(u.hard)}
            for u in options.ulimits
        ]
    return result


def capability_names(options: ProcessOptions) -> list[str]:
    """The capabilities left after `privileged`, `cap_add` and `cap_drop`, docker's rules.

    "ALL" may be added or dropped; what is added by name survives a drop of ALL.
    """
    add = [a.upper() for a in options.cap_add]
    drop = [d.upper() for d in options.cap_drop]
    if options.privileged or "ALL" in add:
        start = list(caps.NAMES)
    elif "ALL" in drop:
        start = []
    else:
        start = list(DEFAULT_CAPABILITIES)
    dropped = {caps.normalise(d) for d in drop if d != "ALL"}
    names = [n for n in start if n not in dropped]
    names += [n for a in add if a != "ALL" and (n := caps.normalise(a)) not in names]
    return [n for n in names if caps.is_known(n)]


def _limit(value: int) -> int:
    return value if value >= 0 else (1 << 64) - 1
