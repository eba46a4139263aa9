"""A container from start to exit: what its program finds, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from command_lines import command_lines
from kobako.errors import Conflict
from kobako.runtime import control, log


@pytest.mark.parametrize("code", [0, 3, 255])
def test_exit_code_comes_back(box: Any, code: int) -> None:
    assert box.run("sh", "-c", f"exit {code}").returncode == code
    now = box.state
    assert (now.status, now.exit_code, now.pid, now.error) == ("exited", code, 0, "")
    assert 0 < now.started_ns <= now.finished_ns


def test_killed_by_a_signal(box: Any) -> None:
    box.run("sleep", "600", detach=True)
    control.kill(box.state_dir, signal.SIGKILL)
    assert control.wait(box.state_dir) == 128 + signal.SIGKILL


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["nope"], 127, 'exec: "nope": executable file not found in $PATH'),
        (["/nope"], 127, 'exec: "/nope": stat /nope: no such file or directory'),
        (["/etc/passwd"], 126, 'exec: "/etc/passwd": permission denied'),
        (["/etc"], 126, "is a directory"),
        (["/etc/passwd/x"], 127, "not a directory"),
    ],
)
def test_start_failures_in_dockers_words(box: Any, args: list[str], code: int, words: str) -> None:
    done = box.run(*args)
    assert done.returncode == code
    assert words in done.stderr
    assert box.state.status == "exited"
    assert box.state.exit_code == code
    assert words in box.state.error


def test_missing_interpreter_and_foreign_format(box: Any, tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o755)
    (tmp_path / "script").write_text("#!/no/such/shell\n")
    (tmp_path / "noise").write_bytes(b"\x7fELF" + b"\0" * 100)
    for name in ("script", "noise"):
        os.chmod(tmp_path / name, 0o755)
    bind = [{"source": str(tmp_path), "target": "/x"}]
    done = box.run("/x/script", binds=bind)
    assert (done.returncode, "no such file or directory" in done.stderr) == (127, True)
    done = box.run("/x/noise", binds=bind)
    assert (done.returncode, "exec format error" in done.stderr) == (126, True)


def test_terminals_have_the_group_tty_where_that_has_an_id(box: Any) -> None:
    mounts = box.output("cat", "/proc/self/mounts").splitlines()
    (options,) = [line.split()[3] for line in mounts if line.split()[1] == "/dev/pts"]
    ids = box.output("cat", "/proc/self/gid_map").split()
    single = ids[2] == "1"
    assert ("gid=5" in options.split(",")) is not single


def test_missing_working_directory_is_made(box: Any) -> None:
    assert box.output("pwd", cwd="/a/b/c") == "/a/b/c\n"
    done = box.run("pwd", cwd="/etc/passwd")
    assert done.returncode == 126
    assert "working directory /etc/passwd" in done.stderr


def test_streams_are_apart_and_logged_with_times(box: Any) -> None:
    done = box.run("sh", "-c", "echo one; echo two >&2; printf three")
    assert (done.stdout, done.stderr) == ("one\nthree", "two\n")
    lines = list(log.read(box.state_dir))
    assert sorted((line.stream, line.data) for line in lines) == [
        (1, b"one\n"),
        (1, b"three"),
        (2, b"two\n"),
    ]
    now = box.state
    assert all(abs(line.time_ns - now.finished_ns) < 60e9 for line in lines)


def test_much_output_arrives_whole(box: Any) -> None:
    done = box.run("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2")
    assert len(done.stdout) == 3000000
    assert done.stderr == "end\n"
    assert sum(len(line.data) for line in log.read(box.state_dir) if line.stream == 1) == 3000000


def test_a_reader_that_goes_away_breaks_the_pipe(box: Any) -> None:
    script = "yes; echo done >&2; exit 7"
    command = [*box.prepare("sh", "-c", script), "start", box.base]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read(10)
    child.stdout.close()
    _, err = child.communicate()
    assert child.returncode == 7
    assert err.endswith(b"done\n")


def test_stdin_passes_through_a_pipe(box: Any) -> None:
    assert box.run("cat", stdin="hello", interactive=True).stdout == "hello"
    assert box.run("cat", stdin="hello").stdout == ""  # not asked for: /dev/null


def test_stdin_from_a_socket_is_pumped(box: Any) -> None:
    import socket

    ours, theirs = socket.socketpair()
    command = [*box.prepare("wc", "-c", interactive=True), "start", box.base]
    child = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE)
    theirs.close()
    ours.sendall(b"x" * 1_000_000)
    ours.close()
    out, _ = child.communicate()
    assert out.strip() == b"1000000"


def test_namespaces_are_its_own(box: Any) -> None:
    out = box.output("sh", "-c", "hostname; echo $$; ls /proc | grep -c '^[0-9]'", hostname="hako")
    name, pid, count = out.split()
    assert (name, pid) == ("hako", "1")
    assert int(count) <= 4
    links = box.output(
        "sh", "-c", "for n in pid mnt uts ipc net; do readlink /proc/self/ns/$n; done"
    )
    ours = [os.readlink(f"/proc/self/ns/{n}") for n in ("pid", "mnt", "uts", "ipc", "net")]
    assert not set(links.split()) & set(ours)
    host = box.output("readlink", "/proc/self/ns/net", network="host")
    assert host.strip() == os.readlink("/proc/self/ns/net")


def test_pid_host_sees_us_and_leaves_nothing(box: Any) -> None:
    mark = f"98{os.getpid()}"
    out = box.output("sh", "-c", f"sleep {mark} & ls -d /proc/{os.getpid()}", pid="host")
    assert out.strip() == f"/proc/{os.getpid()}"
    assert not [line for line in command_lines().values() if mark in line]


def test_devices_work(box: Any) -> None:
    script = "echo x > /dev/null && head -c 3 /dev/zero | wc -c && head -c 5 /dev/urandom | wc -c"
    assert box.output("sh", "-c", script).split() == ["3", "5"]
    names = set(box.output("ls", "/dev").split())
    wanted = "null zero full random urandom tty pts shm mqueue ptmx fd stdin stdout stderr"
    assert set(wanted.split()) <= names
    assert box.output("sh", "-c", "touch /dev/shm/x && stat -c %a /dev/shm") == "1777\n"


def test_masked_and_read_only_paths(box: Any) -> None:
    script = "cat /proc/keys /proc/timer_list; ls /proc/acpi /sys/firmware | wc -w"
    assert set(box.output("sh", "-c", script).replace("/proc/acpi:", "").split()) <= {"0", "1", "2"}
    done = box.run("sh", "-c", "echo 1 > /proc/sys/kernel/panic")
    assert "Read-only file system" in done.stderr or "Permission denied" in done.stderr
    done = box.run("sh", "-c", "mkdir /sys/x")
    assert done.returncode != 0


def test_read_only_root_with_a_tmpfs(box: Any) -> None:
    done = box.run(
        "sh", "-c", "touch /x; touch /scratch/y && echo fine", read_only=True, tmpfs=[["/scratch"]]
    )
    assert done.stdout == "fine\n"
    assert "Read-only file system" in done.stderr


def test_bind_mounts(box: Any, tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o755)
    (tmp_path / "f").write_text("hello\n")
    binds = [
        {"source": str(tmp_path), "target": "/data/deep"},
        {"source": str(tmp_path), "target": "/locked", "ro": True},
        {"source": str(tmp_path / "f"), "target": "/etc/one-file"},
    ]
    script = "cat /data/deep/f /etc/one-file; echo more > /data/deep/g; touch /locked/h"
    done = box.run("sh", "-c", script, binds=binds)
    assert done.stdout == "hello\nhello\n"
    assert "Read-only file system" in done.stderr
    assert (tmp_path / "g").read_text() == "more\n"
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def test_a_missing_bind_source_is_named(box: Any) -> None:
    done = box.run("true", binds=[{"source": "/no/such/thing", "target": "/x"}])
    assert done.returncode == 125
    assert "/no/such/thing" in done.stderr


def test_a_symlink_of_the_image_leads_no_mount_outside(box: Any, tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o755)
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "f").write_text("")
    Path(box.base, "upper").mkdir()
    os.symlink(str(outside), f"{box.base}/upper/escape")
    os.symlink("../../../../.." + str(outside), f"{box.base}/upper/dots")
    binds = [
        {"source": str(tmp_path / "source"), "target": "/escape/a"},
        {"source": str(tmp_path / "source"), "target": "/dots/b"},
    ]
    assert box.output("sh", "-c", "ls /escape/a /dots/b", binds=binds).count("f") == 2
    assert list(outside.iterdir()) == []


def test_proc_reached_by_a_symlink_is_refused(box: Any) -> None:
    Path(box.base, "upper").mkdir()
    os.symlink("/tmp", f"{box.base}/upper/proc")
    done = box.run("true")
    assert done.returncode == 125
    assert "/proc" in done.stderr


@pytest.mark.only("root")
def test_users_and_their_capabilities(box: Any) -> None:
    script = "id; grep -E 'Cap|NoNewPrivs' /proc/self/status; umask"
    out = box.output("sh", "-c", script, uid=1000, gid=1001, groups=[5, 6])
    assert out.startswith("uid=1000 gid=1001 groups=1001,5(tty),6(disk)")
    sets = dict(line.split(":\t") for line in out.splitlines() if line.startswith("Cap"))
    assert sets["CapEff"] == sets["CapPrm"] == sets["CapAmb"] == "0" * 16
    assert sets["CapBnd"] == "00000000a80425fb"
    assert out.splitlines()[-1] == "0022"
    assert box.output("sh", "-c", "echo x > /dev/stdout", uid=1000) == "x\n"


def test_the_callers_umask_stays_outside(box: Any) -> None:
    before = os.umask(0o077)
    try:
        assert box.output("sh", "-c", "umask") == "0022\n"
    finally:
        os.umask(before)


def test_capabilities_as_docker_gives_them(box: Any) -> None:
    def caps(**given: object) -> str:
        out = box.output("sh", "-c", "grep -E 'CapEff|CapBnd' /proc/self/status", **given)
        values = {line.split()[1] for line in out.splitlines()}
        assert len(values) == 1
        return values.pop()

    assert caps() == "00000000a80425fb"
    assert caps(cap_drop=["ALL"]) == "0" * 16
    assert caps(cap_drop=["ALL"], cap_add=["net_admin"]) == "0000000000001000"
    assert int(caps(privileged=True), 16) >> 21 & 1


def test_no_new_privileges_limits_and_sysctls(box: Any) -> None:
    script = "grep NoNewPrivs /proc/self/status; ulimit -n; ulimit -Hn"
    script += "; cat /proc/sys/net/ipv4/ip_forward"
    out = box.output(
        "sh", "-c", script, no_new_privileges=True, ulimits=[["nofile", 99, 111]],
        sysctls=[["net.ipv4.ip_forward", "1"]],
    )  # fmt: skip
    assert out.split() == ["NoNewPrivs:", "1", "99", "111", "1"]


def test_signals_are_the_default_ones(box: Any) -> None:
    lines = box.output("cat", "/proc/self/status").splitlines()
    sets = dict(line.split(":\t") for line in lines if line.startswith("Sig"))
    assert {sets["SigBlk"], sets["SigIgn"], sets["SigCgt"]} == {"0" * 16}


def test_no_descriptor_leaks_in(box: Any) -> None:
    assert box.output("ls", "/proc/self/fd").split() == ["0", "1", "2", "3"]


def test_detached(box: Any) -> None:
    assert box.run("sh", "-c", "echo out; sleep 0.3; exit 9", detach=True).returncode == 0
    now = box.state
    assert now.status in ("running", "exited")
    assert control.wait(box.state_dir) == 9
    assert [line.data for line in log.read(box.state_dir)] == [b"out\n"]
    with pytest.raises(Conflict):
        control.kill(box.state_dir, signal.SIGTERM)


def test_detached_monitor_is_small_and_quits(box: Any) -> None:
    box.run("sleep", "600", detach=True)
    monitor = _monitor(box)
    _until(lambda: "monitor.py" in command_lines().get(monitor, ""))
    rollup = Path(f"/proc/{monitor}/smaps_rollup").read_text()
    pss = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    assert pss < 8000, rollup
    control.kill(box.state_dir, signal.SIGKILL)
    assert control.wait(box.state_dir) == 137
    _until(lambda: not Path(f"/proc/{monitor}").exists())


def _monitor(box: Any) -> int:
    import json

    return int(json.loads(Path(box.state_dir, "pid").read_text())["monitor"])


def _until(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_on_exit_command(box: Any) -> None:
    mark = f"{box.base}/mark"
    box.run("sh", "-c", "exit 5", detach=True, on_exit=["/bin/sh", "-c", f"echo gone > {mark}"])
    assert control.wait(box.state_dir) == 5
    _until(lambda: os.path.exists(mark))


def test_detached_with_stdin_held_open(box: Any) -> None:
    box.run("cat", detach=True, hold_stdin=True)
    time.sleep(0.1)
    assert box.state.status == "running"


def test_killing_the_client_leaves_the_container(box: Any) -> None:
    child = box.popen("sh", "-c", "sleep 0.5; echo later; exit 6")
    child.kill()
    child.communicate()
    assert box.state.status == "running"
    assert control.wait(box.state_dir) == 6
    assert [line.data for line in log.read(box.state_dir)] == [b"later\n"]


def test_killing_the_monitor_ends_the_container(box: Any) -> None:
    child = box.popen("sleep", "600")
    init = box.state.pid
    os.kill(_monitor(box), signal.SIGKILL)
    _, err = child.communicate()
    assert child.returncode == 1
    assert "monitor was killed" in err
    assert control.wait(box.state_dir) == 255
    assert "monitor was killed" in box.state.error
    _until(lambda: not Path(f"/proc/{init}").exists())


def test_signals_are_passed_on(box: Any) -> None:
    child = box.popen(
        "sh", "-c", "trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.01; done"
    )
    assert child.stdout.readline() == "ready\n"
    status = Path(f"/proc/{child.pid}/status")
    _until(lambda: int(status.read_text().split("SigCgt:")[1].split()[0], 16) >> 14 & 1)
    child.send_signal(signal.SIGTERM)
    out, _ = child.communicate()
    assert (child.returncode, out) == (3, "got\n")


def test_started_twice_is_a_conflict(box: Any) -> None:
    box.run("sleep", "600", detach=True)
    done = box.run("true")
    assert "Conflict" in done.stderr
    control.kill(box.state_dir, 9)
    assert control.wait(box.state_dir) == 137
    assert box.run("true").returncode == 0


def test_state_before_and_after(box: Any) -> None:
    assert box.state.status == "created"
    with pytest.raises(Conflict):
        control.wait(box.state_dir)
    box.run("true")
    control.delete(box.state_dir)
    assert box.state.status == "created"


def test_pause_and_resume(box: Any) -> None:
    box.run("sh", "-c", "while :; do echo x; sleep 0.01; done", detach=True)
    control.pause(box.state_dir)
    assert box.state.status == "paused"
    stopped = [Path(f"/proc/{p}/stat").read_text() for p in control.processes(box.state.pid)]
    assert len(stopped) >= 1
    # D: the shell waits in vfork for a child that is stopped; it stops before it runs again.
    assert all(s.rpartition(")")[2].split()[0] in "TZD" for s in stopped)
    size = os.path.getsize(f"{box.state_dir}/log")
    control.resume(box.state_dir)
    assert box.state.status == "running"
    _until(lambda: os.path.getsize(f"{box.state_dir}/log") > size)


def test_no_start_from_a_process_with_threads(box: Any) -> None:
    code = (
        "import threading,time,sys\n"
        "threading.Thread(target=time.sleep,args=(60,),daemon=True).start()\n"
        "from kobako.linux import userns\n"
        "from kobako.errors import Unsupported\n"
        "try: userns.enter_single()\n"
        "except Unsupported as e: print(e)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "2 threads" in out


def test_nothing_is_left_mounted_or_running(box: Any) -> None:
    mark = f"97{os.getpid()}"
    box.run("sh", "-c", f"setsid sleep {mark} & exit 0")
    mounts = Path("/proc/self/mountinfo").read_text()  # others of this machine may mount, too
    assert box.state_dir.rpartition("/")[0] not in mounts
    assert not [line for line in command_lines().values() if mark in line]
