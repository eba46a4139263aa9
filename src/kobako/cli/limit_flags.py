"""Flags of limits, which `run`, `create` and `update` share, as docker's HostConfig."""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, NUMBER, TEXT, Flag, Values, bad_value
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.cli.context import Context

CHANGING = (
    Flag("blkio-weight", "", NUMBER, "Block IO (relative weight), between 10 and 1000, or 0"),
    Flag("cpu-period", "", NUMBER, "Limit CPU CFS (Completely Fair Scheduler) period"),
    Flag("cpu-quota", "", NUMBER, "Limit CPU CFS (Completely Fair Scheduler) quota"),
    Flag("cpu-rt-period", "", NUMBER, "Limit the CPU real-time period in microseconds"),
    Flag("cpu-rt-runtime", "", NUMBER, "Limit the CPU real-time runtime in microseconds"),
    Flag("cpu-shares", "c", NUMBER, "CPU shares (relative weight)"),
    Flag("cpus", "", TEXT, "Number of CPUs", "decimal"),
    Flag("cpuset-cpus", "", TEXT, "CPUs in which to allow execution (0-3, 0,1)"),
    Flag("cpuset-mems", "", TEXT, "MEMs in which to allow execution (0-3, 0,1)"),
    Flag("memory", "m", TEXT, "Memory limit", "bytes"),
    Flag("memory-reservation", "", TEXT, "Memory soft limit", "bytes"),
    Flag("memory-swap", "", TEXT, "Swap limit equal to memory plus swap: '-1' to enable unlimited "
         "swap", "bytes"),
    Flag("pids-limit", "", NUMBER, "Tune container pids limit (set -1 for unlimited)"),
)  # fmt: skip
"""Those of `update`, too."""
FLAGS = (
    *CHANGING,
    Flag("blkio-weight-device", "", LIST, "Block IO weight (relative device weight)"),
    Flag("cgroup-parent", "", TEXT, "Optional parent cgroup for the container"),
    Flag("device-read-bps", "", LIST, "Limit read rate (bytes per second) from a device"),
    Flag("device-read-iops", "", LIST, "Limit read rate (IO per second) from a device"),
    Flag("device-write-bps", "", LIST, "Limit write rate (bytes per second) to a device"),
    Flag("device-write-iops", "", LIST, "Limit write rate (IO per second) to a device"),
    Flag("memory-swappiness", "", NUMBER, "Tune container memory swappiness (0 to 100)", "", -1),
    Flag("oom-kill-disable", "", BOOL, "Disable OOM Killer"),
)
_NUMBERS = {
    "blkio-weight": "BlkioWeight",
    "cpu-period": "CpuPeriod",
    "cpu-quota": "CpuQuota",
    "cpu-rt-period": "CpuRealtimePeriod",
    "cpu-rt-runtime": "CpuRealtimeRuntime",
    "cpu-shares": "CpuShares",
    "memory-swappiness": "MemorySwappiness",
    "pids-limit": "PidsLimit",
}
_SIZES = {
    "memory": "Memory",
    "memory-reservation": "MemoryReservation",
    "memory-swap": "MemorySwap",
}
_TEXTS = {"cpuset-cpus": "CpusetCpus", "cpuset-mems": "CpusetMems"}
_RATES = {
    "device-read-bps": "BlkioDeviceReadBps",
    "device-read-iops": "BlkioDeviceReadIOps",
    "device-write-bps": "BlkioDeviceWriteBps",
    "device-write-iops": "BlkioDeviceWriteIOps",
}


def given(values: Values) -> dict[str, Any]:
    """What was asked for, unchecked but for its form; `Invalid`."""
    found: dict[str, Any] = {}
    for name, key in _NUMBERS.items():
        if values.given(name):
            found[key] = values.number(name)
    for name, key in _SIZES.items():
        if values.given(name):
            found[key] = _size(name, values.text(name))
    for name, key in _TEXTS.items():
        if values.given(name):
            found[key] = values.text(name)
    if values.given("cpus"):
        found["NanoCpus"] = _nano(values.text("cpus"))
    if not values.knows("oom-kill-disable"):
        return found
    if values.given("oom-kill-disable"):
        found["OomKillDisable"] = values.on("oom-kill-disable")
    for name, key in _RATES.items():
        if values.many(name):
            found[key] = [_rate(name, word) for word in values.many(name)]
    if values.many("blkio-weight-device"):
        found["BlkioWeightDevice"] = [_weight(w) for w in values.many("blkio-weight-device")]
    return found


def limits(context: Context, values: Values) -> tuple[dict[str, Any] | None, str]:
    """(HostConfig of a new container, --cgroup-parent); warns of what cannot be enforced."""
    from kobako.engine import limits

    parent = values.text("cgroup-parent")
    found = given(values)
    if not found:
        if parent:
            context.err("WARNING: --cgroup-parent is for containers with a limit. It has none.")
        return None, parent
    limits.check(found)
    found = limits.with_defaults(found)
    warn(context, limits.unmet(found, parent))
    if found.get("OomKillDisable") and not found.get("Memory"):
        context.err(
            "WARNING: Disabling the OOM killer on containers without setting a '-m/--memory' limit "
            "may be dangerous."
        )
    return found, parent


def warn(context: Context, unmet: list[tuple[str, str]]) -> None:
    for flag, why in unmet:
        context.err(f"WARNING: --{flag} is not enforced ({why}). Limitation discarded.")


def _size(name: str, text: str) -> int:
    from kobako.cli.units import parse_size

    if name == "memory-swap" and text == "-1":
        return -1
    try:
        return parse_size(text)
    except ValueError:
        shown = "-m, --memory" if name == "memory" else f"--{name}"
        raise bad_value(shown, text, f"invalid size: '{text}'") from None


def _nano(text: str) -> int:
    """`--cpus` as a number of billionths, as docker reads it: 1.5, 3/2."""
    top, slash, bottom = text.partition("/")
    whole, _, rest = top.strip().partition(".")
    try:
        if not (whole + rest).lstrip("+-").isdecimal() or (slash and not bottom.isdecimal()):
            raise ValueError
        count = int(whole + rest) * 1_000_000_000
        parts = int("1" + "0" * len(rest)) * int(bottom or 1)
        if not parts:
            raise ValueError
    except ValueError:
        raise bad_value("--cpus", text, f"failed to parse {text} as a rational number") from None
    if count % parts:  # less than a billionth of a processor
        raise bad_value("--cpus", text, "value is too precise")
    return count // parts


def _rate(name: str, word: str) -> dict[str, Any]:
    from kobako.cli.units import parse_size

    path, _, text = word.partition(":")
    try:
        rate = int(text) if name.endswith("iops") else parse_size(text)
        if not path.startswith("/dev/") or rate < 0:
            raise ValueError
    except ValueError:
        unit = "" if name.endswith("iops") else "[<unit>]"
        why = (
            f"bad format for device path: {word}"
            if not path.startswith("/dev/")
            else f"invalid rate for device: {word}. The correct format is "
            f"<device-path>:<number>{unit}. Number must be a positive integer"
        )
        raise bad_value(f"--{name}", word, why) from None
    return {"Path": path, "Rate": rate}


def _weight(word: str) -> dict[str, Any]:
    path, _, text = word.partition(":")
    shown = f'invalid argument "{word}" for "--blkio-weight-device" flag: '
    if not path.startswith("/dev/"):
        raise Invalid(f"{shown}bad format for device path: {word}")
    if not text.isdecimal() or (int(text) and not 10 <= int(text) <= 1000):
        raise Invalid(f"{shown}invalid weight for device: {word}")
    return {"Path": path, "Weight": int(text)}
