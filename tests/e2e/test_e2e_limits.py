"""Limits: enforced where there are cgroups to be had, and told of where there are none."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from e2e_command import Kobako

TAKES = "x = bytearray(200 << 20)"
FORKS = """
import os, time
made = 0
try:
    while made < 50:
        if not os.fork(): time.sleep(600)
        made += 1
except OSError:
    pass
print(made)
"""


def places(kobako: Kobako, name: str) -> list[Path]:
    """The directories of a container's cgroups."""
    whole = kobako.show("{{.Id}}", name)
    record = Path(kobako.show("{{.LogPath}}", whole)).parent / "cgroup"
    return [Path(line.split(" ", 2)[2]) for line in record.read_text().splitlines()]


@pytest.mark.only("root")
def test_too_much_memory(kobako: Kobako, name: str) -> None:
    kobako.fails("run", "--name", name, "-m", "64m", "python", "python3", "-c", TAKES, code=137)
    assert kobako.show("{{.State.OOMKilled}} {{.State.ExitCode}}", name) == "true 137"
    kobako("run", "-d", "--name", f"{name}-2", "-m", "64m", "python", "python3", "-c", TAKES)
    assert kobako("wait", f"{name}-2").out == "137"
    assert kobako.show("{{.State.OOMKilled}}", f"{name}-2") == "true"
    kobako("run", "--name", f"{name}-3", "-m", "300m", "python", "python3", "-c", TAKES)
    assert kobako.show("{{.State.OOMKilled}}", f"{name}-3") == "false"


@pytest.mark.only("root")
def test_too_many_processes(kobako: Kobako) -> None:
    made = kobako("run", "--rm", "--pids-limit", "12", "python", "python3", "-c", FORKS).out
    assert made == "11"
    assert kobako("run", "--rm", "--pids-limit", "-1", "python", "python3", "-c", FORKS).out == "50"


@pytest.mark.only("root")
def test_what_the_kernel_is_told(kobako: Kobako, name: str) -> None:
    flags = "-m 64m --memory-swap 80m --cpus 0.5 -c 512 --pids-limit 20 --cpuset-cpus 0".split()
    said = kobako("run", "-d", "--name", name, *flags, "python", "sleep", "600")
    assert said.err == ""
    files = {p.name: p.read_text().strip() for at in places(kobako, name) for p in at.iterdir()
             if p.name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "cpu.shares",
                           "cpu.cfs_quota_us", "cpuset.cpus", "pids.max", "memory.max",
                           "memory.swap.max", "cpu.max", "cpu.weight")}  # fmt: skip
    first = {"memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "83886080",
             "cpu.shares": "512", "cpu.cfs_quota_us": "50000"}  # fmt: skip
    second = {"memory.max": "67108864", "memory.swap.max": "16777216", "cpu.max": "50000 100000",
              "cpu.weight": "20"}  # fmt: skip
    assert files.pop("cpuset.cpus") == "0" and files.pop("pids.max") == "20"
    assert files in (first, second)
    shown = json.loads(kobako.show("{{json .HostConfig}}", name))
    expected = {"Memory": 64 << 20, "MemorySwap": 80 << 20, "NanoCpus": 500000000,
                "CpuShares": 512, "PidsLimit": 20, "CpusetCpus": "0", "CpuQuota": 0}  # fmt: skip
    assert {key: shown[key] for key in expected} == expected
    kobako("pause", name)
    kobako("unpause", name)
    assert "sleep" in kobako("top", name).out


@pytest.mark.only("root")
def test_exec_is_in_it(kobako: Kobako, name: str) -> None:
    kobako("run", "-d", "--name", name, "-m", "64m", "--pids-limit", "12", "python", "sleep", "600")
    kobako.fails("exec", name, "python3", "-c", TAKES, code=137)
    assert kobako("exec", name, "python3", "-c", FORKS).out == "10"


@pytest.mark.only("root")
def test_nothing_is_left_of_it(kobako: Kobako, name: str) -> None:
    """Neither at the end nor, of a monitor that was killed, after `rm`; nor where none was asked
    for is there anything."""
    kobako("run", "-d", "--name", name, "-m", "64m", "python", "sleep", "600")
    here = places(kobako, name)
    assert all(at.is_dir() for at in here)
    kobako("stop", "-t", "0", name)
    assert not any(at.exists() for at in here)
    kobako("start", name)
    here = places(kobako, name)
    state = Path(kobako.show("{{.LogPath}}", name)).parent
    os.kill(json.loads((state / "pid").read_text())["monitor"], signal.SIGKILL)
    kobako("rm", "-f", name)
    assert not any(at.exists() for at in here)
    kobako("run", "-d", "--name", f"{name}-free", "python", "sleep", "600")
    assert not (Path(kobako.show("{{.LogPath}}", f"{name}-free")).parent / "cgroup").exists()


@pytest.mark.only("user")
def test_without_a_delegated_cgroup(kobako: Kobako) -> None:
    """The container works, and what it is not held to is named."""
    if any(os.access(at, os.W_OK) for at in ("/sys/fs/cgroup", "/sys/fs/cgroup/memory")):
        pytest.skip("a cgroup is ours")
    done = kobako("run", "--rm", "-m", "64m", "--cpus", "1", "--pids-limit", "9", "python",
                  "echo", "works")  # fmt: skip
    assert done.out == "works"
    names = [line.split()[1] for line in done.err.splitlines()]
    assert sorted(names) == ["--cpus", "--memory", "--pids-limit"]
    for line in done.err.splitlines():
        assert line.startswith("WARNING: --") and line.endswith("). Limitation discarded.")
        assert " is not enforced (" in line


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("-m 5m", "Minimum memory limit allowed is 6MB"),
        ("-m 64m --memory-swap 63m", "Minimum memoryswap limit should be larger than memory limit"),
        ("--memory-swap 64m", "You should always set the Memory limit when using Memoryswap limit"),
        ("-m 64m --memory-reservation 65m", "can not be less than memory reservation limit"),
        ("--memory-swappiness 101", "Invalid value: 101, valid memory swappiness range is 0-100"),
        ("--cpus 1000", "Range of CPUs is from 0.01 to "),
        ("--cpus x", "failed to parse x as a rational number"),
        ("--cpus 1 --cpu-quota 5000", "Nano CPUs and CPU Quota cannot both be set."),
        ("--cpu-period 5", "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s"),
        ("--cpu-quota 5", "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        ("--cpuset-cpus 4000", "Requested CPUs are not available - requested 4000, available: 0"),
        ("--cpuset-cpus a", "Invalid value a for cpuset cpus"),
        ("--blkio-weight 5", "Range of blkio weight is from 10 to 1000"),
        ("--device-read-bps sda:1m", "bad format for device path: sda:1m"),
        ("-m 64x", 'invalid argument "64x" for "-m, --memory" flag: invalid size: \'64x\''),
    ],
)
def test_what_is_refused(kobako: Kobako, flags: str, message: str) -> None:
    assert message in kobako.attempt("create", *flags.split(), "python", "true").err


def test_one_without_limits(kobako: Kobako, name: str) -> None:
    """docker's inspect of one without limits."""
    kobako("create", "--name", name, "python", "true")
    template = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{json .HostConfig.PidsLimit}}"
    assert kobako.show(template, name) == "0 0 null"
    assert kobako.show("{{.State.OOMKilled}}", name) == "false"


@pytest.mark.only("root")
def test_update_of_what_runs_and_of_what_does_not(kobako: Kobako, name: str) -> None:
    kobako("run", "-d", "--name", name, "python", "sleep", "600")
    assert (
        kobako("update", "--pids-limit", "12", "-m", "64m", "--memory-swap", "64m", name).out
        == name
    )
    assert kobako("exec", name, "python3", "-c", FORKS).out == "10"
    kobako.fails("exec", name, "python3", "-c", TAKES, code=137)
    stats = "stats --no-stream --format {{.MemUsage}}".split()
    assert kobako(*stats, name).out.endswith("/ 64MiB")
    refused = kobako.fails("update", "-m", "80m", name, code=1)
    assert "update the memoryswap at the same time" in refused.err
    kobako("update", "--pids-limit", "-1", name)
    assert kobako("exec", name, "python3", "-c", FORKS).out == "50"
    kobako("kill", name)
    kobako("update", "--pids-limit", "9", name)
    kobako("start", name)
    assert kobako("exec", name, "python3", "-c", FORKS).out == "7"
    where = places(kobako, name)
    assert where and all(at.is_dir() for at in where)
    kobako("rm", "-f", name)
    assert not any(at.exists() for at in where)


def test_update_says_what_is_wrong(kobako: Kobako, name: str) -> None:
    kobako("create", "--name", name, "python", "true")
    said = kobako.fails("update", name, code=1).err
    assert said == "You must provide one or more flags when using this command."
    assert "6MB" in kobako.fails("update", "-m", "1m", name, code=1).err
    assert "No such container" in kobako.fails("update", "-m", "64m", "nobody-here", code=1).err
    assert "invalid restart policy" in kobako.fails("update", "--restart", "now", name, code=1).err
    kobako("update", "--restart", "on-failure:3", name)
    shown = json.loads(kobako.show("{{json .HostConfig.RestartPolicy}}", name))
    assert shown == {"Name": "on-failure", "MaximumRetryCount": 3}
