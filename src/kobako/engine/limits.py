"""What a container may use of the machine: docker's HostConfig of limits, checked, and as the
runtime-spec has it."""

from __future__ import annotations

import os

from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PARENT = "kobako"
_LEAST_MEMORY = 6 << 20
_PERIOD = 100000
_FLAGS = {
    "memory.limit": "memory",
    "memory.swap": "memory-swap",
    "memory.reservation": "memory-reservation",
    "memory.swappiness": "memory-swappiness",
    "memory.disableOOMKiller": "oom-kill-disable",
    "cpu.shares": "cpu-shares",
    "cpu.period": "cpu-period",
    "cpu.quota": "cpu-quota",
    "cpu.realtimePeriod": "cpu-rt-period",
    "cpu.realtimeRuntime": "cpu-rt-runtime",
    "cpu.cpus": "cpuset-cpus",
    "cpu.mems": "cpuset-mems",
    "pids.limit": "pids-limit",
    "blockIO.weight": "blkio-weight",
    "blockIO.weightDevice": "blkio-weight-device",
    "blockIO.throttleReadBpsDevice": "device-read-bps",
    "blockIO.throttleWriteBpsDevice": "device-write-bps",
    "blockIO.throttleReadIOPSDevice": "device-read-iops",
    "blockIO.throttleWriteIOPSDevice": "device-write-iops",
}
_MEMORY = (
    ("limit", "Memory"), ("swap", "MemorySwap"), ("reservation", "MemoryReservation"),
)  # fmt: skip
_CPU = (
    ("shares", "CpuShares"), ("period", "CpuPeriod"), ("quota", "CpuQuota"),
    ("realtimePeriod", "CpuRealtimePeriod"), ("realtimeRuntime", "CpuRealtimeRuntime"),
    ("cpus", "CpusetCpus"), ("mems", "CpusetMems"),
)  # fmt: skip
_THROTTLES = (
    ("throttleReadBpsDevice", "BlkioDeviceReadBps"),
    ("throttleWriteBpsDevice", "BlkioDeviceWriteBps"),
    ("throttleReadIOPSDevice", "BlkioDeviceReadIOps"),
    ("throttleWriteIOPSDevice", "BlkioDeviceWriteIOps"),
)


def check(host: dict[str, Any], *, online: tuple[str, str] | None = None) -> None:
    """`Invalid` with docker's words where limits, HostConfig's, do not fit each other or the
    machine. `online` are the processors and memory nodes there are, "0-1", where it is known."""
    _check_memory(host)
    nano, period, quota = (host.get(k, 0) for k in ("NanoCpus", "CpuPeriod", "CpuQuota"))
    if nano and period:
        raise Invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set.")
    if nano and quota:
        raise Invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set.")
    count = os.cpu_count() or 1
    if nano < 0 or nano > count * 1_000_000_000:
        raise Invalid(
            f"Range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"
        )
    if period and not 1000 <= period <= 1_000_000:
        raise Invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < quota < 1000:
        raise Invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    weight = host.get("BlkioWeight", 0)
    if weight and not 10 <= weight <= 1000:
        raise Invalid("Range of blkio weight is from 10 to 1000")
    cpus, mems = host.get("CpusetCpus", ""), host.get("CpusetMems", "")
    if cpus or mems:
        have = online or _online()
        _check_set("cpus", "CPUs", cpus, have[0])
        _check_set("mems", "memory nodes", mems, have[1])


def _check_memory(host: dict[str, Any]) -> None:
    memory, swap = host.get("Memory", 0), host.get("MemorySwap", 0)
    reservation, swappiness = host.get("MemoryReservation", 0), host.get("MemorySwappiness")
    if 0 < memory < _LEAST_MEMORY:
        raise Invalid("Minimum memory limit allowed is 6MB")
    if 0 < swap < memory:
        raise Invalid("Minimum memoryswap limit should be larger than memory limit, see usage")
    if not memory and swap > 0:
        raise Invalid(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    if swappiness is not None and not -1 <= swappiness <= 100:
        raise Invalid(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")
    if 0 < reservation < _LEAST_MEMORY:
        raise Invalid("Minimum memory reservation allowed is 6MB")
    if 0 < memory < reservation:
        raise Invalid(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        )


def _online() -> tuple[str, str]:
    found = []
    for kind in ("cpu", "node"):
        try:
            with open(f"/sys/devices/system/{kind}/online") as file:
                found.append(file.read().strip())
        except OSError:  # a kernel without NUMA
            found.append("0")
    return found[0], found[1]


def _check_set(name: str, things: str, wanted: str, have: str) -> None:
    try:
        asked = _numbers(wanted)
    except ValueError:
        raise Invalid(f"Invalid value {wanted} for cpuset {name}") from None
    if not asked <= _numbers(have):
        raise Invalid(
            f"Requested {things} are not available - requested {wanted}, available: {have}"
        )


def _numbers(text: str) -> set[int]:
    """Of "0-2,4"; `ValueError`."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        low, high = int(first), int(last if dash else first)
        if not 0 <= low <= high <= 8191:
            raise ValueError(text)
        found |= {*range(low, high + 1)}
    return found


def with_defaults(host: dict[str, Any]) -> dict[str, Any]:
    """A new container's: with a memory limit, it may have as much swap again."""
    if host.get("Memory", 0) > 0 and not host.get("MemorySwap"):
        return {**host, "MemorySwap": 2 * host["Memory"]}
    return host


def resources(host: dict[str, Any], *, changed: bool = False) -> dict[str, Any]:
    """`linux.resources` of the runtime-spec; {} where nothing is limited. `changed`: what is
    without a limit had one before, perhaps."""
    memory = {name: host[key] for name, key in _MEMORY if host.get(key)}
    if host.get("MemorySwappiness") not in (None, -1):
        memory["swappiness"] = host["MemorySwappiness"]
    if host.get("OomKillDisable"):
        memory["disableOOMKiller"] = True
    cpu = {name: host[key] for name, key in _CPU if host.get(key)}
    if host.get("NanoCpus"):
        cpu["period"] = _PERIOD
        cpu["quota"] = host["NanoCpus"] * _PERIOD // 1_000_000_000
    block: dict[str, Any] = {}
    if host.get("BlkioWeight"):
        block["weight"] = host["BlkioWeight"]
    if host.get("BlkioWeightDevice"):
        block["weightDevice"] = [
            {**_device(e["Path"]), "weight": e["Weight"]} for e in host["BlkioWeightDevice"]
        ]
    for name, key in _THROTTLES:
        if host.get(key):
            block[name] = [{**_device(e["Path"]), "rate": e["Rate"]} for e in host[key]]
    pids = host.get("PidsLimit")
    asked: dict[str, dict[str, Any]] = {"memory": memory, "cpu": cpu, "blockIO": block}
    if pids is not None and (pids > 0 or changed):
        asked["pids"] = {"limit": pids if pids > 0 else -1}
    return {name: section for name, section in asked.items() if section}


def _device(path: str) -> dict[str, int]:
    try:
        info = os.stat(path)
    except OSError as fault:
        why = (fault.strerror or "").lower()
        raise Invalid(f"error gathering device information: {path}: {why}") from None
    return {"major": os.major(info.st_rdev), "minor": os.minor(info.st_rdev)}


def path(parent: str, container_id: str) -> str:
    """`linux.cgroupsPath`: relative where this process may make one, unless a parent is said."""
    if parent:
        return f"/{parent.strip('/')}/{container_id}".replace("//", "/")
    return f"{PARENT}/{container_id}"


def unmet(host: dict[str, Any], parent: str = "") -> list[tuple[str, str]]:
    """(flag, why) of each limit that cannot be enforced here, found out by trying."""
    from kobako.runtime import cgroup_confine

    asked = resources(host)
    if not asked:
        return []
    missing = cgroup_confine.attempt(asked, path(parent, "x").rpartition("/")[0] or "/").unmet
    return flags(missing, host)


def flags(missing: dict[str, str], host: dict[str, Any]) -> list[tuple[str, str]]:
    """By the flags that ask for it; what was added beside them is not told of."""
    found = {}
    for key, why in missing.items():
        flag = _FLAGS[key]
        if host.get("NanoCpus") and flag in ("cpu-quota", "cpu-period"):
            flag = "cpus"
        found[flag] = why
    if "memory" in found and host.get("MemorySwap") == 2 * host.get("Memory", 0):
        found.pop("memory-swap", None)
    return list(found.items())


def clear(directory: str) -> None:
    """Of a container that does not run: take away the cgroup that a killed monitor left."""
    from kobako.runtime import cgroup

    cgroup.remove(cgroup.places(os.path.join(directory, "state", "cgroup")))
