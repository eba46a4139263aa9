"""`linux.resources` of the runtime-spec -> what is written into the files of a cgroup.

https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#control-groups; where v2
has other scales, crun's and runc's: shares 2..262144 become weights 1..10000, so do weights of
block devices 10..1000.
"""

from __future__ import annotations

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_PERIOD = 100000
_THROTTLES = (
    ("throttleReadBpsDevice", "read_bps", "rbps"),
    ("throttleWriteBpsDevice", "write_bps", "wbps"),
    ("throttleReadIOPSDevice", "read_iops", "riops"),
    ("throttleWriteIOPSDevice", "write_iops", "wiops"),
)


class Write(Record):
    """A value for a `file` of a `controller`, v1's name of it; `key` is where the document says
    it, "memory.limit". Of several files the first that is there takes it."""

    key: str
    controller: str
    files: tuple[str, ...]
    value: str


def writes(resources: dict[str, Any], version: int) -> list[Write]:
    """In the order in which they go into a new cgroup."""
    return list(_first(resources) if version == 1 else _second(resources))


def _first(resources: dict[str, Any]) -> Iterator[Write]:
    memory, cpu = resources.get("memory", {}), resources.get("cpu", {})
    for name, file in (
        ("limit", "memory.limit_in_bytes"),
        ("swap", "memory.memsw.limit_in_bytes"),
        ("reservation", "memory.soft_limit_in_bytes"),
        ("swappiness", "memory.swappiness"),
    ):
        if memory.get(name) is not None:
            yield Write(f"memory.{name}", "memory", (file,), str(memory[name]))
    if memory.get("disableOOMKiller"):
        yield Write("memory.disableOOMKiller", "memory", ("memory.oom_control",), "1")
    for name, file in (
        ("shares", "cpu.shares"),
        ("period", "cpu.cfs_period_us"),
        ("quota", "cpu.cfs_quota_us"),
        ("realtimePeriod", "cpu.rt_period_us"),
        ("realtimeRuntime", "cpu.rt_runtime_us"),
    ):
        if cpu.get(name):
            yield Write(f"cpu.{name}", "cpu", (file,), str(cpu[name]))
    yield from _shared(resources)
    block = resources.get("blockIO", {})
    if block.get("weight"):
        files = ("blkio.weight", "blkio.bfq.weight")
        yield Write("blockIO.weight", "blkio", files, str(block["weight"]))
    for each in block.get("weightDevice") or ():
        files = ("blkio.weight_device", "blkio.bfq.weight_device")
        yield Write("blockIO.weightDevice", "blkio", files, f"{_device(each)} {each['weight']}")
    for name, file, _ in _THROTTLES:
        for each in block.get(name) or ():
            yield Write(
                f"blockIO.{name}",
                "blkio",
                (f"blkio.throttle.{file}_device",),
                f"{_device(each)} {each['rate']}",
            )


def _second(resources: dict[str, Any]) -> Iterator[Write]:
    memory, cpu = resources.get("memory", {}), resources.get("cpu", {})
    limit, swap = memory.get("limit"), memory.get("swap")
    if limit is not None:
        yield Write("memory.limit", "memory", ("memory.max",), _or_max(limit))
    if swap is not None:  # v1 counts both together
        alone = swap if swap < 0 or limit is None or limit < 0 else swap - limit
        yield Write("memory.swap", "memory", ("memory.swap.max",), _or_max(alone))
    if memory.get("reservation") is not None:
        value = _or_max(memory["reservation"])
        yield Write("memory.reservation", "memory", ("memory.low",), value)
    for name in ("swappiness", "disableOOMKiller"):
        if memory.get(name) not in (None, False):
            yield Write(f"memory.{name}", "memory", (), "")  # there is no such thing
    if cpu.get("shares"):
        weight = 1 + (min(max(cpu["shares"], 2), 262144) - 2) * 9999 // 262142
        yield Write("cpu.shares", "cpu", ("cpu.weight",), str(weight))
    if cpu.get("quota") or cpu.get("period"):
        value = f"{_or_max(cpu.get('quota') or -1)} {cpu.get('period') or _PERIOD}"
        key = "cpu.quota" if cpu.get("quota") else "cpu.period"
        yield Write(key, "cpu", ("cpu.max",), value)
    for name in ("realtimePeriod", "realtimeRuntime"):
        if cpu.get(name):
            yield Write(f"cpu.{name}", "cpu", (), "")
    yield from _shared(resources)
    block = resources.get("blockIO", {})
    if block.get("weight"):
        yield from _weight("blockIO.weight", "", block["weight"])
    for each in block.get("weightDevice") or ():
        yield from _weight("blockIO.weightDevice", f"{_device(each)} ", each["weight"])
    for name, _, file in _THROTTLES:
        for each in block.get(name) or ():
            value = f"{_device(each)} {file}={each['rate']}"
            yield Write(f"blockIO.{name}", "blkio", ("io.max",), value)


def _weight(key: str, device: str, weight: int) -> Iterator[Write]:
    """bfq has v1's scale."""
    scaled = 1 + (weight - 10) * 9999 // 990
    yield Write(key, "blkio", ("io.bfq.weight",), f"{device}{weight}")
    yield Write(key, "blkio", ("io.weight",), f"{device}{scaled}")


def _shared(resources: dict[str, Any]) -> Iterator[Write]:
    cpu, pids = resources.get("cpu", {}), resources.get("pids", {})
    for name in ("cpus", "mems"):
        if cpu.get(name):
            yield Write(f"cpu.{name}", "cpuset", (f"cpuset.{name}",), cpu[name])
    if pids.get("limit") is not None:
        limit = pids["limit"]
        yield Write("pids.limit", "pids", ("pids.max",), str(limit) if limit > 0 else "max")


def _or_max(number: int) -> str:
    return "max" if number < 0 else str(number)


def _device(each: dict[str, Any]) -> str:
    return f"{each['major']}:{each['minor']}"
