"""Terminals: the container's own, joined to one of ours by pexpect."""

from __future__ import annotations

import os
import signal
import termios
import time
from pathlib import Path
from typing import Any

import pexpect
import pytest

from kobako.runtime import control, log

BASH = ["bash", "--norc", "--noprofile", "-i"]
ENV = ["PATH=/usr/bin:/bin", "PS1=hako$ ", "TERM=xterm"]


def spawn(box: Any, *args: str, verb: str = "start", **given: Any) -> Any:
    command = box.prepare(*args, terminal=True, interactive=True, env=ENV, **given)
    return pexpect.spawn(
        command[0], [*command[1:], verb, box.base], timeout=60, dimensions=(33, 99), encoding="utf8"
    )


def finish(child: Any) -> int:
    child.expect(pexpect.EOF)
    child.close()
    return int(child.exitstatus if child.exitstatus is not None else 128 + child.signalstatus)


def test_it_is_a_terminal_of_its_own(box: Any) -> None:
    child = spawn(
        box, "sh", "-c", "tty; stty size; ls -l /dev/console | cut -c1; echo t > /dev/tty"
    )
    child.expect_exact("/dev/pts/0\r\n")
    child.expect_exact("33 99\r\n")
    child.expect_exact("c\r\n")
    child.expect_exact("t\r\n")
    assert finish(child) == 0
    assert box.state.status == "exited"
    assert b"".join(line.data for line in log.read(box.state_dir)).startswith(b"/dev/pts/0\r\n")


def test_ctrl_c_ctrl_d_and_the_exit_code(box: Any) -> None:
    child = spawn(box, *BASH)
    child.expect_exact("hako$ ")
    child.sendline("sleep 600")
    child.expect_exact("sleep 600\r\n")
    time.sleep(0.2)
    child.sendcontrol("c")
    child.expect_exact("hako$ ")
    child.sendline("echo $?")
    child.expect_exact("130\r\n")
    child.expect_exact("hako$ ")
    child.sendline("(exit 41)")
    child.expect_exact("hako$ ")
    child.sendcontrol("d")
    assert finish(child) == 41


def test_job_control(box: Any) -> None:
    child = spawn(box, *BASH)
    child.expect_exact("hako$ ")
    child.sendline("sleep 601")
    child.expect_exact("sleep 601\r\n")
    time.sleep(0.2)
    child.sendcontrol("z")
    child.expect_exact("Stopped")
    child.expect_exact("hako$ ")
    child.sendline("jobs; bg; jobs")
    child.expect("Running +sleep 601")
    child.sendline("kill %1; wait; exit 3")
    assert finish(child) == 3


def test_resize(box: Any) -> None:
    child = spawn(box, *BASH)
    child.expect_exact("hako$ ")
    child.setwinsize(41, 77)
    child.sendline("until [ \"$(stty size)\" = '41 77' ]; do :; done; echo si''zed")
    child.expect_exact("sized\r\n")
    child.sendline("exit")
    assert finish(child) == 0


@pytest.mark.parametrize("how", ["exit", "term", "hup", "monitor", "container", "failed"])
def test_the_mode_is_restored_on_every_way_out(box: Any, how: str) -> None:
    command = box.prepare(*(["nope"] if how == "failed" else BASH), terminal=True,
                          interactive=True, env=ENV)  # fmt: skip
    driver = " ".join(command)
    shell = pexpect.spawn("sh", timeout=60, encoding="utf8", env={**os.environ, "PS1": "outer$ "})
    shell.expect_exact("outer$ ")
    before = termios.tcgetattr(shell.child_fd)
    shell.sendline(f"{driver} start {box.base}")
    if how != "failed":
        shell.expect_exact("hako$ ")
        assert termios.tcgetattr(shell.child_fd) != before
        client = _client(box)
        if how == "exit":
            shell.sendline("exit")
        elif how in ("term", "hup"):
            os.kill(client, getattr(signal, f"SIG{how.upper()}"))
        elif how == "monitor":
            os.kill(_monitor(box), signal.SIGKILL)
        else:
            control.kill(box.state_dir, signal.SIGKILL)
    shell.expect_exact("outer$ ")
    assert termios.tcgetattr(shell.child_fd) == before
    if how in ("term", "hup"):
        assert box.state.status == "running"
    shell.close(force=True)


def _monitor(box: Any) -> int:
    import json

    return int(json.loads(Path(box.state_dir, "pid").read_text())["monitor"])


def _client(box: Any) -> int:
    with open(f"/proc/{_monitor(box)}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def test_stdin_of_a_terminal_without_one_inside(box: Any) -> None:
    """-i without -t, typed at a terminal: the container gets a pipe, never our terminal."""
    command = box.prepare("sh", "-c", "test -t 0 || echo no; cat; exit 8", interactive=True)
    child = pexpect.spawn(command[0], [*command[1:], "start", box.base], timeout=60)
    child.expect_exact("no\r\n")
    child.sendline("typed")
    child.expect_exact("typed\r\ntyped\r\n")
    child.sendeof()
    assert finish(child) == 8


def test_a_detached_terminal(box: Any) -> None:
    box.run(
        "sh", "-c", "tty; sleep 0.2; stty size; exit 2", terminal=True, size=[20, 40], detach=True
    )
    assert control.wait(box.state_dir) == 2
    assert b"".join(line.data for line in log.read(box.state_dir)) == b"/dev/pts/0\r\n20 40\r\n"


def test_exec_with_a_terminal(box: Any) -> None:
    box.run("sleep", "600", detach=True)
    child = spawn(box, *BASH, verb="exec")
    child.expect_exact("hako$ ")
    child.sendline("tty; stty size; sleep 600")
    child.expect_exact("/dev/pts/0\r\n33 99\r\n")
    time.sleep(0.2)
    child.sendcontrol("c")
    child.expect_exact("hako$ ")
    child.sendline("exit 5")
    assert finish(child) == 5
    assert box.state.status == "running"
