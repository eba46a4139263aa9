"""`kobako run`: the flags around log, init, network files and mounts; those that are refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from e2e_command import Kobako

REFUSED = [
    (["--gpus", "all"], "--gpus is not supported"),
    (["--ip", "1.2.3.4"], "--ip is not supported"),
    (["--link", "a:b"], "--link is not supported"),
    (["--storage-opt", "size=1G"], "--storage-opt is not supported"),
    (["--runtime", "nosuch"], "--runtime nosuch is not supported"),
    (["--userns", "keep-id"], "--userns keep-id is not supported"),
    (["--restart", "nosuch"], "invalid restart policy 'nosuch'"),
    (["--restart", "on-failure:x"], "maximum retry count must be an integer"),
    (["--restart", "always"], "cannot specify both --restart and --rm"),
    (["--memory", "1k"], "Minimum memory limit allowed is 6MB"),
    (["--memory", "much"], "invalid size: 'much'"),
    (["--cpus", "few"], "failed to parse few as a rational number"),
    (["--publish", "http"], "Invalid containerPort: http"),
    (["--publish", "99999:80"], "Invalid hostPort: 99999"),
    (["--publish", "80/ip"], "Invalid proto: ip"),
    (["--publish", "1-2:80-85"], "Invalid ranges specified for container and host Ports"),
    (["--oom-score-adj", "1001"], "range for oom score adj is [-1000, 1000]"),
    (["--dns", "name"], "IP address is not correctly formatted: name"),
    (["--log-driver", "syslog"], "the log driver 'syslog' is not supported"),
    (["--log-opt", "nosuch=1"], "unknown log opt 'nosuch' for json-file log driver"),
    (["--log-opt", "max-size=big"], "max-size: invalid size: 'big'"),
    (["--log-opt", "max-size=0"], "max-size must be a positive number"),
    (["--log-opt", "max-file=0"], "max-file cannot be less than 1"),
    (["--log-opt", "compress=true"], "files of a log are not compressed"),
    (["--log-driver", "none", "--log-opt", "max-file=2"], "unknown log opt 'max-file' for none"),
    (["--health-cmd", "x", "--no-healthcheck"], "--no-healthcheck conflicts with --health-*"),
    (["--health-retries", "2", "--no-healthcheck"], "--no-healthcheck conflicts with --health-*"),
    (["--health-interval", "soon"], 'time: invalid duration "soon"'),
    (["--health-interval", "5"], 'time: missing unit in duration "5"'),
    (["--health-timeout=-1s"], "--health-timeout cannot be negative"),
    (["--health-retries=-1"], "--health-retries cannot be negative"),
    (["--health-start-period", "1us"], "StartPeriod in Healthcheck cannot be less than 1ms"),
    (["--mount", "type=bind,source=/etc,target=/m,nosuch=1"], "unexpected key 'nosuch'"),
    (["--mount", "bad"], "invalid field 'bad' must be a key=value pair"),
    (["--mount", "source=x"], "target is required"),
    (["--mount", "type=bind,target=/m"], "field Source must not be empty"),
    (["--mount", "type=bind,source=etc,target=/m"], "'etc' mount path must be absolute"),
    (["--mount", "type=tmpfs,target=/m,volume-nocopy"], "cannot mix 'volume-*' options with mount"),
    (["--mount", "source=xx,target=/m,volume-driver=nfs"], "volume-driver is not supported"),
    (["--ulimit", "nosuch=1"], "invalid ulimit type: nosuch"),
    (["--ulimit", "nofile=2:1"], "soft limit must be less than or equal to hard limit: 2 > 1"),
    (["--sysctl", "vm.swappiness=1"], "sysctl 'vm.swappiness=1' is not allowed"),
    (["--sysctl", "kernel.shmmax"], "sysctl 'kernel.shmmax' is not allowed"),
    (["--device", "/dev/nosuch"], 'adding custom device "/dev/nosuch": no such file or directory'),
    (["--device", "/etc/passwd"], "not a device node"),
    (["--device", "/dev/null:/x:z"], "invalid device mode: z"),
    (["--device", "/dev/null:r"], "access to a device cannot be limited to 'r'"),
    (["--device", "null"], "invalid device specification: null"),
    (["--stop-signal", "NOSUCH"], "Invalid signal: NOSUCH"),
    (["--volumes-from", "nosuch"], "No such container: nosuch"),
    (["--cgroupns", "mine"], "mine is neither private nor host"),
]


@pytest.mark.parametrize(("flags", "says"), REFUSED, ids=lambda v: " ".join(v)[:40])
def test_refused(kobako: Kobako, flags: list[str], says: str) -> None:
    kobako.fails("run", "--rm", "--network", "none", *flags, "python", "true", code=125, says=says)


def test_what_create_refuses_by_itself_and_what_the_engine(kobako: Kobako) -> None:
    for flags, says in (
        (["--memory", "much"], "invalid size: 'much'"),
        (["--publish", "http"], "kobako: Invalid containerPort: http"),
        (["--env", "=x"], 'invalid argument "=x" for "-e, --env" flag'),
        (["--env-file", "/nosuch"], "kobako: --env-file /nosuch: No such file"),
        (["--label", "=x"], "invalid label '=x': empty name"),
        (["--ulimit", "nosuch=1"], 'argument "nosuch=1" for "--ulimit" flag: invalid ulimit type'),
        (["--add-host", "x"], 'for "--add-host" flag: bad format for add-host: "x"'),
        (["--mount", "source=x"], 'argument "source=x" for "--mount" flag: target is required'),
    ):
        said = kobako.fails("create", *flags, "python", "true", code=125, says=says).err
        assert said.endswith("See 'kobako create --help'."), said
    kobako.fails("create", "--oom-score-adj", "1001", "python", "true", code=1, says="Error: ")


def test_attached_and_detached_exclude_each_other(kobako: Kobako) -> None:
    says = "conflicting options: cannot specify both --attach and --detach"
    kobako.fails("run", "-d", "-a", "stdout", "python", code=1, says=says)


def test_what_is_left_out_is_said(kobako: Kobako, name: str) -> None:
    flags = ["--kernel-memory", "9m", "--health-cmd", "true"]
    result = kobako("run", "--name", name, *flags, "python", "true")
    assert result.err.splitlines() == [
        "WARNING: --kernel-memory is not enforced. Limitation discarded.",
    ]
    shown = kobako.show("{{json .Config.Healthcheck}}", name)
    assert json.loads(shown) == {"Test": ["CMD-SHELL", "true"]}


def test_empty_health_flags_ask_for_nothing(kobako: Kobako, name: str) -> None:
    empty = ["--health-cmd", "", "--health-interval", "0", "--health-timeout", "0s"]
    flags = [*empty, "--health-retries", "0"]
    assert kobako("create", "--name", name, *flags, "python").err == ""
    assert "Healthcheck" not in json.loads(kobako.show("{{json .Config}}", name))
    other = f"{name}-none"
    assert kobako("create", "--name", other, *flags, "--no-healthcheck", "python").err == ""
    assert json.loads(kobako.show("{{json .Config.Healthcheck}}", other)) == {"Test": ["NONE"]}


def test_resolver(kobako: Kobako) -> None:
    flags = ["--dns", "1.1.1.1", "--dns", "::1", "--dns-search", "x.y", "--dns-option", "ndots:2"]
    out = kobako.sh("cat /etc/resolv.conf", *flags).lines
    assert out == ["search x.y", "nameserver 1.1.1.1", "nameserver ::1", "options ndots:2"]


def test_ports_and_annotations_are_shown(kobako: Kobako, name: str) -> None:
    flags = ["--expose", "80", "--expose", "90-91/udp", "--annotation", "a=b"]
    kobako("create", "--name", name, *flags, "python")
    assert json.loads(kobako.show("{{json .Config.ExposedPorts}}", name)) == {
        "80/tcp": {}, "90/udp": {}, "91/udp": {},
    }  # fmt: skip
    assert kobako.show("{{.HostConfig.Annotations.a}}", name) == "b"


def test_oom_score(kobako: Kobako) -> None:
    assert kobako.sh("cat /proc/self/oom_score_adj", "--oom-score-adj", "100").out == "100"


@pytest.mark.needs("catatonit")
def test_init(kobako: Kobako) -> None:
    assert kobako.sh("cat /proc/1/comm; exit 0", "--init").out == "docker-init"
    kobako.fails("run", "--rm", "--init", "python", "sh", "-c", "exit 7", code=7)


def test_volumes_from(kobako: Kobako, name: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("1\n")
    flags = ["-v", f"{tmp_path}:/ro:ro", "-v", f"{name}-data:/data"]
    kobako("run", "--name", name, *flags, "python", "sh", "-c", "echo 2 > /data/f")
    script = "cat /ro/f /data/f; touch /ro/x || touch /data/x || echo both"
    with_writing = kobako.attempt(
        "run", "--rm", "--volumes-from", name, "python", "sh", "-c", script
    )
    assert with_writing.out == "1\n2" and with_writing.err.count("Read-only") == 1
    assert kobako.sh(script, "--volumes-from", f"{name}:ro").out == "1\n2\nboth"


def test_log_is_bounded(kobako: Kobako, name: str) -> None:
    flags = ["--log-opt", "max-size=2k", "--log-opt", "max-file=3"]
    kobako("run", "-d", "--name", name, *flags, "python", "seq", "2000")
    kobako("wait", name)
    kept = kobako("logs", name).lines
    assert kept[-1] == "2000" and 200 < len(kept) < 1500
    assert kept == [str(n) for n in range(2001 - len(kept), 2001)]
    assert kobako("logs", "-n", "1", name).out == "2000"
    kobako("start", "-a", name)
    again = kobako("logs", "-f", name).lines
    assert again[-1] == "2000" and len(again) < 1500


def test_no_log(kobako: Kobako, name: str) -> None:
    assert kobako("run", "--name", name, "--log-driver", "none", "python", "echo", "hi").out == "hi"
    kobako.fails("logs", name, says="configured logging driver does not support reading")
    assert kobako.show("{{.HostConfig.LogConfig.Type}}", name) == "none"


def test_details_of_a_log(kobako: Kobako, name: str) -> None:
    flags = ["--log-opt", "labels=b,a,c", "--log-opt", "env=X", "-l", "a=1", "-l", "b=2/3"]
    kobako("run", "--name", name, *flags, "-e", "X=y", "python", "sh", "-c", "echo 1; echo 2")
    assert kobako("logs", "--details", name).lines == ["X=y,a=1,b=2%2F3 1", "X=y,a=1,b=2%2F3 2"]
    assert kobako("logs", "--tail", "-1", name).lines == ["1", "2"]


def test_devices(kobako: Kobako, name: str) -> None:
    """Those of the host, also by another name and a directory of them."""
    script = "stat -c '%F %t:%T' /dev/one /dev/more/null; head -c 3 /dev/one | od -An -tx1"
    flags = ["--device", "/dev/zero:/dev/one:rw", "--device", "/dev/null:/dev/more/null"]
    assert kobako.sh(script, *flags).lines == [
        "character special file 1:5",
        "character special file 1:3",
        " 00 00 00",
    ]
    kobako("create", "--name", name, *flags, "python")
    assert kobako("diff", name).out == ""
    assert kobako.show("{{(index .HostConfig.Devices 0).PathInContainer}}", name) == "/dev/one"


def test_ipc_of_the_host(kobako: Kobako) -> None:
    assert kobako.sh("readlink /proc/self/ns/ipc", "--ipc", "host").out == os.readlink(
        "/proc/self/ns/ipc"
    )
