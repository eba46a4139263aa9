"""Further programs in a running container."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kobako.runtime import control, log


@pytest.fixture
def running(box: Any) -> Any:
    assert box.run("sleep", "600", detach=True, hostname="hako").returncode == 0
    return box


def test_it_is_inside(running: Any) -> None:
    script = "hostname; cat /proc/1/comm; id -u; pwd; exit 7"
    done = running.exec("sh", "-c", script, cwd="/usr")
    assert (done.returncode, done.stdout.split()) == (7, ["hako", "sleep", "0", "/usr"])
    inside = f"/proc/{running.state.pid}/ns"
    for name in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
        out = running.exec("readlink", f"/proc/self/ns/{name}").stdout.strip()
        assert out == os.readlink(f"{inside}/{name}")


def test_it_may_use_every_processor(running: Any) -> None:
    done = running.exec("grep", "Cpus_allowed_list:", "/proc/self/status")
    with open("/proc/self/status") as file:
        assert done.stdout in file.read()


def test_streams_and_stdin(running: Any) -> None:
    done = running.exec("sh", "-c", "cat; echo err >&2", stdin="in\n", interactive=True)
    assert (done.stdout, done.stderr) == ("in\n", "err\n")
    assert running.exec("cat", stdin="unseen").stdout == ""
    assert list(log.read(running.state_dir)) == []


def test_much_goes_in_and_out(running: Any) -> None:
    data = "x" * 999 + "\n"
    done = running.exec("cat", stdin=data * 3000, interactive=True)
    assert done.stdout == data * 3000


def test_failures_in_dockers_words(running: Any) -> None:
    done = running.exec("nope")
    assert done.returncode == 127
    assert 'exec: "nope": executable file not found in $PATH' in done.stderr
    assert running.exec("/etc/passwd").returncode == 126


def test_killed_by_a_signal(running: Any) -> None:
    assert running.exec("sh", "-c", "kill -KILL $$").returncode == 137


def test_capabilities_and_environment(running: Any) -> None:
    script = "grep CapEff /proc/self/status; echo $X"
    done = running.exec("sh", "-c", script, cap_drop=["ALL"], env=["PATH=/bin", "X=y"])
    assert done.stdout.split() == ["CapEff:", "0" * 16, "y"]


@pytest.mark.only("root", "mapped")
def test_as_another_user(running: Any) -> None:
    script = "id -u; id -G; echo x > /dev/stdout"
    done = running.exec("sh", "-c", script, uid=1000, gid=50, groups=[6])
    assert done.stdout.split() == ["1000", "50", "6", "x"]


def test_no_descriptor_leaks_in(running: Any) -> None:
    assert running.exec("ls", "/proc/self/fd").stdout.split() == ["0", "1", "2", "3"]


def test_not_in_a_container_that_does_not_run(box: Any) -> None:
    assert "is not running" in box.exec("true").stderr
    box.run("sleep", "600", detach=True)
    control.pause(box.state_dir)
    assert "paused" in box.exec("true").stderr
    control.kill(box.state_dir, 9)
    assert control.wait(box.state_dir) == 137
    assert "is not running" in box.exec("true").stderr


def test_it_ends_with_the_container(running: Any) -> None:
    command = [*running.prepare("sh", "-c", "echo up; sleep 600"), "exec", running.base]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    control.kill(running.state_dir, 9)
    child.communicate()
    assert child.returncode == 137


def test_modules_are_never_loaded_from_the_container(running: Any, tmp_path: Path) -> None:
    """A container that plants modules where the host has its own gets none of them run."""
    root = f"/proc/{running.state.pid}/root"
    trap = os.path.dirname(os.__file__)
    plant = f"mkdir -p {trap}; for m in resource struct enum traceback; do"
    plant += f' echo \'open("/pwned", "w")\' > {trap}/$m.py; done'
    assert running.exec("sh", "-c", plant).returncode == 0
    running.exec("nope", ulimits=[["nofile", 50, 50]])
    assert running.exec("true", ulimits=[["nofile", 50, 50]]).returncode == 0
    assert not os.path.exists(f"{root}/pwned")
    assert sys.executable
