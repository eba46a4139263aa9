"""Limits: what is written for v1 and v2, where cgroups are, and what is left of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kobako.errors import StartFailed
from kobako.runtime import cgroup, cgroup_confine, cgroup_hierarchies, cgroup_limits
from kobako.runtime.cgroup_hierarchies import Hierarchy

ALL: dict[str, Any] = {
    "memory": {"limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20},
    "cpu": {"shares": 512, "period": 50000, "quota": 20000, "cpus": "0-1", "mems": "0"},
    "pids": {"limit": 20},
    "blockIO": {
        "weight": 500,
        "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1000}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 7}],
    },
}
V1 = """\
24 18 0:21 / /sys/fs/cgroup rw shared:1 - tmpfs tmpfs ro,mode=755
25 24 0:22 / /sys/fs/cgroup/unified rw shared:2 - cgroup2 cgroup2 rw,nsdelegate
27 24 0:24 / /sys/fs/cgroup/cpu,cpuacct rw shared:3 - cgroup cgroup rw,cpu,cpuacct
28 24 0:25 /docker/abc /sys/fs/cgroup/memory rw shared:4 - cgroup cgroup rw,memory
"""
OWN = "5:memory:/docker/abc/x\n4:cpu,cpuacct:/\n1:name=systemd:/\n0::/user.slice/a.scope\n"


def values(resources: dict[str, Any], version: int) -> dict[str, str]:
    return {w.files[0]: w.value for w in cgroup_limits.writes(resources, version)}


def test_first_version() -> None:
    assert values(ALL, 1) == {
        "memory.limit_in_bytes": "67108864",
        "memory.memsw.limit_in_bytes": "100663296",
        "memory.soft_limit_in_bytes": "33554432",
        "cpu.shares": "512",
        "cpu.cfs_period_us": "50000",
        "cpu.cfs_quota_us": "20000",
        "cpuset.cpus": "0-1",
        "cpuset.mems": "0",
        "pids.max": "20",
        "blkio.weight": "500",
        "blkio.throttle.read_bps_device": "8:0 1000",
        "blkio.throttle.write_iops_device": "8:0 7",
    }


def test_second_version() -> None:
    found = values(ALL, 2)
    assert found.pop("io.max") == "8:0 wiops=7"
    assert found == {
        "memory.max": "67108864",
        "memory.swap.max": "33554432",  # v1 counts both together
        "memory.low": "33554432",
        "cpu.weight": "20",
        "cpu.max": "20000 50000",
        "cpuset.cpus": "0-1",
        "cpuset.mems": "0",
        "pids.max": "20",
        "io.bfq.weight": "500",
        "io.weight": "4950",
    }


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"memory": {"limit": -1, "swap": -1}}, {"memory.max": "max", "memory.swap.max": "max"}),
        ({"memory": {"limit": 9, "swap": 9}}, {"memory.max": "9", "memory.swap.max": "0"}),
        ({"cpu": {"quota": -1}}, {"cpu.max": "max 100000"}),
        ({"cpu": {"period": 5000}}, {"cpu.max": "max 5000"}),
        ({"cpu": {"shares": 2}}, {"cpu.weight": "1"}),
        ({"cpu": {"shares": 1024}}, {"cpu.weight": "39"}),
        ({"cpu": {"shares": 262144}}, {"cpu.weight": "10000"}),
        ({"pids": {"limit": -1}}, {"pids.max": "max"}),
    ],
)
def test_ends_of_scales(resources: dict[str, Any], expected: dict[str, str]) -> None:
    assert values(resources, 2) == expected


def test_hierarchies_of_a_hybrid() -> None:
    unified, cpu, memory = cgroup_hierarchies.read(V1, OWN)
    assert (unified.version, unified.own) == (2, "/user.slice/a.scope")
    assert (cpu.version, cpu.controllers, cpu.own) == (1, ("cpu", "cpuacct"), "/")
    assert (memory.mount, memory.own) == ("/sys/fs/cgroup/memory", "/x")
    assert memory.bases() == ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/x"]


def delegated(top: Path, pid_file: str = "") -> tuple[Hierarchy, Path]:
    """A plain tree that stands for a v2 whose subtree /user/me is ours; and our container's."""
    mine = top / "user" / "me"
    parent, child = mine / "kobako", mine / "kobako" / "c1"
    child.mkdir(parents=True)
    for at in (mine, parent, child):
        (at / "cgroup.subtree_control").write_text("memory pids\n")
        (at / "cgroup.procs").write_text(pid_file)
        for file in ("memory.max", "memory.swap.max", "pids.max", "memory.events"):
            (at / file).write_text("")
    return Hierarchy(2, str(top), "/user/me/app.scope", ("memory", "pids")), child


def test_a_delegated_subtree(tmp_path: Path) -> None:
    """What is not delegated is gone by; what the subtree lacks is told of."""
    here, child = delegated(tmp_path / "fs")
    state = tmp_path / "state"
    state.mkdir()
    resources = {"memory": {"limit": 9 << 20}, "pids": {"limit": 5}, "cpu": {"shares": 5}}
    found = cgroup_confine.attempt(resources, "kobako", [here])
    assert found.parents == [(2, ["memory", "pids"], str(child.parent))]
    assert found.unmet == {"cpu.shares": "there is no cgroup controller cpu"}
    linux = {"resources": resources, "cgroupsPath": "kobako/c1"}
    assert cgroup_confine.confine(str(state), linux, 4711, [here])
    assert (child / "memory.max").read_text() == str(9 << 20)
    assert (child / "pids.max").read_text() == "5"
    assert (child / "cgroup.procs").read_text() == "4711"
    places = cgroup.places(f"{state}/cgroup")
    assert places == [(2, ["memory", "pids"], str(child))]
    (child / "memory.events").write_text("low 0\noom 3\noom_kill 0\n")
    assert not cgroup.oom_killed(places)
    (child / "memory.events").write_text("low 0\noom 3\noom_kill 1\n")
    assert cgroup.oom_killed(places)


def test_a_tree_that_is_nobodys(tmp_path: Path) -> None:
    """Everything is told of, and nothing made."""
    here = Hierarchy(2, str(tmp_path), "/a", ("memory",))
    (tmp_path / "a").mkdir()
    found = cgroup_confine.attempt({"memory": {"limit": 1 << 30}}, "kobako", [here])
    assert found.parents == []
    assert found.unmet == {"memory.limit": f"{tmp_path}/a: no such file or directory"}
    assert [p.name for p in tmp_path.rglob("*")] == ["a"]


def unified() -> Hierarchy | None:
    return next((h for h in cgroup_hierarchies.of_this_process() if h.version == 2), None)


@pytest.mark.only("root")
def test_what_is_left_is_killed_and_removed() -> None:
    """On the machine's own v2, whatever controllers it has."""
    here = unified()
    if here is None:
        pytest.skip("no cgroup2 is mounted")
    directory = f"{here.mount}/kobako-test-{os.getpid()}"
    os.makedirs(f"{directory}/below")
    sleeper = subprocess.Popen(["sleep", "600"])
    try:
        cgroup.join([(2, [], f"{directory}/below")], sleeper.pid)
        assert cgroup.remove([(2, [], directory)])
        assert sleeper.wait() == -9
    finally:
        sleeper.kill()
        sleeper.wait()
    assert not os.path.exists(directory)
    assert cgroup.remove([(2, [], directory)])


@pytest.mark.only("root")
def test_a_value_that_is_refused(tmp_path: Path) -> None:
    """The message names file and value; no cgroup is left."""
    linux = {"resources": {"cpu": {"cpus": "7000"}}, "cgroupsPath": "kobako-test/refused"}
    if not any("cpuset" in h.controllers for h in cgroup_hierarchies.of_this_process()):
        pytest.skip("there is no controller cpuset")
    with pytest.raises(StartFailed, match=r"failed to write '7000' to .*/refused/cpuset.cpus"):
        cgroup_confine.confine(str(tmp_path), linux, os.getpid())
    (_, _, directory) = cgroup.places(f"{tmp_path}/cgroup")[0]
    assert not os.path.exists(directory)
    os.rmdir(os.path.dirname(directory))
