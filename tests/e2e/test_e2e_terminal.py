"""The command in a terminal: what is typed reaches the container, and the terminal comes back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from e2e_command import PROGRAM, Kobako, eventually

BASH = ["bash", "--norc", "--noprofile", "-i"]
QUIET = ["--network", "none", "-e", "PS1=hako$ ", "-e", "INPUTRC=/dev/null"]


def finish(child: pexpect.spawn[str]) -> int:
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus if child.exitstatus is not None else -(child.signalstatus or 0)


def monitor(kobako: Kobako, name: str) -> int:
    container = kobako.show("{{.Id}}", name)
    state = (kobako.root / "containers" / container / "state/pid").read_text()
    return int(json.loads(state)["monitor"])


def client(kobako: Kobako, name: str) -> int:
    """The attached command: the monitor's parent."""
    with open(f"/proc/{monitor(kobako, name)}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def await_sleep(kobako: Kobako, name: str, seconds: int) -> None:
    """Until the container runs `sleep seconds` in the foreground of its terminal."""
    script = f"""
        for found in $(grep -lz '^{seconds}$' /proc/[0-9]*/cmdline); do
            set -- $(sed 's/.*) //' ${{found%cmdline}}stat)  # state ppid pgrp session tty tpgid
            [ "$3" = "$6" ] && exit
        done
        exit 1
    """
    eventually(lambda: kobako.attempt("exec", name, "sh", "-c", script).code == 0, "it sleeps")


@pytest.fixture
def shell(kobako: Kobako) -> Iterator[pexpect.spawn[str]]:
    """A shell of this machine in a terminal, to start the command from."""
    environ = {**kobako.environ, "PS1": "outer$ "}
    options: dict[str, Any] = {"env": environ, "encoding": "utf8", "timeout": 30}
    child = pexpect.spawn("sh", dimensions=(33, 99), **options)
    child.expect_exact("outer$ ")
    yield child
    child.close(force=True)


def test_a_shell_in_a_terminal(kobako: Kobako, name: str) -> None:
    """Its size and a change of it, Ctrl-C, Ctrl-Z, bg, fg, Ctrl-D; the exit code."""
    child = kobako.spawn("run", "--rm", "-it", "--name", name, *QUIET, "python", *BASH,
                         size=(33, 99))  # fmt: skip
    child.expect_exact("hako$ ")
    child.sendline("tty; stty size")
    child.expect("/dev/pts/0\r\n33 99\r\n")
    child.setwinsize(41, 77)
    child.sendline("until [ \"$(stty size)\" = '41 77' ]; do :; done; echo si''zed")
    child.expect_exact("sized\r\n")
    child.sendline("sleep 601")
    await_sleep(kobako, name, 601)
    child.sendcontrol("c")
    child.expect_exact("hako$ ")
    child.sendline("echo code $?")
    child.expect_exact("code 130\r\n")
    child.sendline("sleep 602")
    await_sleep(kobako, name, 602)
    child.sendcontrol("z")
    child.expect_exact("Stopped")
    child.sendline("bg; jobs")
    child.expect("Running +sleep 602")
    child.sendline("fg")
    child.expect_exact("sleep 602\r\n")
    await_sleep(kobako, name, 602)  # bash says so before it is
    child.sendcontrol("c")
    child.expect_exact("hako$ ")
    child.sendline("(exit 41)")
    child.expect_exact("hako$ ")
    child.sendcontrol("d")
    assert finish(child) == 41


@pytest.mark.parametrize("verb", ["run", "exec", "start"])
def test_the_size_is_there_from_the_first_moment(kobako: Kobako, name: str, verb: str) -> None:
    """A program is told of no change of size that was none: a shell would draw its prompt twice."""
    script = "trap 'echo changed' WINCH; stty size; for i in 1 2 3; do sleep 0.1; done; echo end"
    words = ["python", "sh", "-c", script]
    if verb == "run":
        child = kobako.spawn("run", "--rm", "-it", *QUIET, *words, size=(20, 50))
    elif verb == "start":
        kobako("create", "-it", "--name", name, *QUIET, *words)
        child = kobako.spawn("start", "-ai", name, size=(20, 50))
    else:
        kobako("run", "-d", "--name", name, *QUIET, "python", "sleep", "600")
        child = kobako.spawn("exec", "-it", name, *words[1:], size=(20, 50))
    child.expect(pexpect.EOF)
    assert str(child.before) == "20 50\r\nend\r\n"


@pytest.mark.parametrize("how", ["exit", "TERM", "HUP", "KILL", "monitor", "container", "detach"])
def test_the_terminal_comes_back(
    kobako: Kobako, name: str, shell: pexpect.spawn[str], how: str
) -> None:
    """However the command ends, the terminal has the mode it had.

    After SIGKILL nobody is left to restore it: only that the container goes on is asked then.
    """
    before = termios.tcgetattr(shell.child_fd)
    words = [*PROGRAM, "run", "-it", "--name", name, *QUIET, "python", *BASH]
    shell.sendline(subprocess.list2cmdline(words))
    shell.expect("(2004h|\n)hako\\$ ")  # not the command's echo
    assert termios.tcgetattr(shell.child_fd) != before
    if how == "exit":
        shell.sendline("exit")
    elif how == "detach":
        shell.send("\x10\x11")
        shell.expect_exact("read escape sequence")
    elif how == "monitor":
        os.kill(monitor(kobako, name), signal.SIGKILL)
    elif how == "container":
        kobako("kill", name)
    else:
        os.kill(client(kobako, name), getattr(signal, f"SIG{how}"))
    shell.expect_exact("outer$ ")
    if how != "KILL":
        assert termios.tcgetattr(shell.child_fd) == before
    if how in ("TERM", "HUP", "KILL", "detach"):
        assert kobako.show("{{.State.Running}}", name) == "true"
    if how == "detach":
        shell.sendline("echo code $?")
        shell.expect_exact("code 0\r\n")


def test_exec_in_a_terminal(kobako: Kobako, name: str) -> None:
    kobako("run", "-d", "--name", name, *QUIET, "python", "sleep", "600")
    child = kobako.spawn("exec", "-it", "-e", "PS1=more$ ", name, *BASH, size=(31, 91))
    child.expect_exact("more$ ")
    child.sendline("stty size; sleep 603")
    child.expect_exact("31 91\r\n")
    await_sleep(kobako, name, 603)
    child.sendcontrol("c")
    child.expect_exact("more$ ")
    child.setwinsize(42, 78)
    child.sendline("until [ \"$(stty size)\" = '42 78' ]; do :; done; echo si''zed")
    child.expect_exact("sized\r\n")
    child.sendline("exit 5")
    assert finish(child) == 5
    assert kobako.show("{{.State.Running}}", name) == "true"


def test_leaving_and_coming_to_the_end(kobako: Kobako, name: str) -> None:
    """Keys of one's own; their beginning alone is passed on; --rm is kept after one has left."""
    child = kobako.spawn("run", "--rm", "-it", "--detach-keys", "a,a,b", "--name", name, *QUIET,
                         "python", "cat")  # fmt: skip
    child.sendline("xay-aaz-aa-a")
    child.expect_exact("xay-aaz-aa-a\r\nxay-aaz-aa-a\r\n")
    child.send("aaab")
    child.expect_exact("read escape sequence")
    assert finish(child) == 0
    assert kobako.show("{{.State.Running}}", name) == "true"
    kobako("kill", name)
    eventually(lambda: not kobako("ps", "-aq", "--filter", f"name={name}").out, "it is removed")


def test_a_program_left_by_exec_runs_on(kobako: Kobako, name: str) -> None:
    kobako("run", "-d", "--name", name, *QUIET, "python", "sleep", "600")
    script = "echo begun; read line; echo $line; for i in 1 2 3; do sleep 0.05; echo $i; done; >/x"
    child = kobako.spawn("exec", "-it", name, "sh", "-c", script)
    child.expect_exact("begun\r\n")
    child.send("go\r\x10\x11")
    child.expect_exact("read escape sequence")
    assert finish(child) == 0
    eventually(lambda: kobako.attempt("exec", name, "test", "-e", "/x").code == 0, "it ran on")


def test_the_keys_of_the_configuration(kobako: Kobako, name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"detachKeys": "ctrl-]"}')
    other = kobako.at(kobako.root)
    other.environ["DOCKER_CONFIG"] = str(tmp_path)
    child = other.spawn("run", "-it", "--name", name, *QUIET, "python", "cat")
    child.send("\x10\x11\r")  # Ctrl-Q is the container's terminal's own
    child.expect_exact("^P\r\n")
    child.send("\x1d")
    child.expect_exact("read escape sequence")
    assert finish(child) == 0


@pytest.mark.parametrize("keys", ["ctrl-", "ctrl-ab", "abc", "a,,b", "é", "ctrl-1"])
def test_keys_that_are_none(kobako: Kobako, keys: str) -> None:
    kobako.fails("run", "--rm", "--detach-keys", keys, "python", "true", code=125,
                 says=f"Invalid detach keys ({keys}) provided")  # fmt: skip


def test_input_from_a_pipe(kobako: Kobako, name: str) -> None:
    words = ["run", "--rm", "-i", *QUIET, "python"]
    assert kobako(*words, "wc", "-c", data=b"x" * 300_000).out == "300000"
    assert kobako(*words, "cat", data=b"").raw == b""
    kobako.fails(*words, "sh", "-c", "cat; exit 6", data=b"x", code=6)
    kobako.fails("run", "--rm", "-it", *QUIET, "python", "true", data=b"x", code=1,
                 says="the input device is not a TTY")  # fmt: skip
    kobako("run", "-d", "--name", name, *QUIET, "python", "sleep", "600")
    assert kobako("exec", "-i", name, "wc", "-c", data=b"y" * 300_000).out == "300000"
    kobako.fails("exec", "-it", name, "true", data=b"x", code=1,
                 says="the input device is not a TTY")  # fmt: skip
    # A terminal inside does not need one outside.
    assert kobako("run", "--rm", "-t", *QUIET, "python", "tty").raw == b"/dev/pts/0\r\n"
    assert kobako("exec", "-t", name, "tty").raw == b"/dev/pts/0\r\n"


def test_killed_between_the_end_and_the_removal(kobako: Kobako, name: str) -> None:
    """A client that dies before it has kept the promise of --rm: the monitor keeps it."""
    command = kobako.popen("run", "--rm", "-i", "--name", name, *QUIET, "python", "cat", stdin=-1)
    eventually(lambda: kobako.attempt("exec", name, "true").code == 0, "it runs")
    os.kill(command.pid, signal.SIGSTOP)
    assert command.stdin is not None
    command.stdin.close()
    eventually(lambda: kobako.show("{{.State.Status}}", name) == "exited", "it has ended")
    command.kill()
    command.stdin = None
    command.communicate()
    eventually(lambda: not kobako("ps", "-aq", "--filter", f"name={name}").out, "it is removed")
    known = kobako("ps", "-aq", "--no-trunc").out.split()
    places = kobako.root / "containers"
    eventually(lambda: sorted(os.listdir(places)) == sorted(known), "its directory goes too")


def test_restart_keeps_what_rm_would_remove(kobako: Kobako, name: str) -> None:
    script = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
    container = kobako(
        "run", "-d", "--rm", "--name", name, *QUIET, "python", "sh", "-c", script
    ).out
    for _ in range(3):
        kobako("restart", name)
        assert kobako.show("{{.Id}} {{.State.Running}}", name) == f"{container} true"
    kobako("stop", name)
    eventually(lambda: not kobako("ps", "-aq", "--filter", f"name={name}").out, "it is removed")
