"""attach: a terminal on, and pipes to, a container that somebody else has started."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import termios
from pathlib import Path

import pexpect
import pytest
from e2e_command import Kobako, eventually

BASH = ["bash", "--norc", "--noprofile", "-i"]
QUIET = ["--network", "none", "-e", "PS1=hako$ ", "-e", "INPUTRC=/dev/null"]
LEAVE = "\x10\x11"
ECHO = "while read line; do echo got $line; done; echo end; exit 7"


def finish(child: pexpect.spawn[str]) -> int:
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus if child.exitstatus is not None else -(child.signalstatus or 0)


def leave(child: pexpect.spawn[str], code: int = 1) -> None:
    child.send(LEAVE)
    child.expect_exact("read escape sequence")
    assert finish(child) == code


def look_in(kobako: Kobako, name: str, *words: str) -> pexpect.spawn[str]:
    """Attach to a shell, and have it show its prompt."""
    child = kobako.spawn(*(words or ("attach",)), name)
    child.send("\r")
    child.expect_exact("hako$ ")
    return child


def state_dir(kobako: Kobako, name: str) -> Path:
    return kobako.root / "containers" / kobako.show("{{.Id}}", name) / "state"


def monitor(kobako: Kobako, name: str) -> int:
    return int(json.loads((state_dir(kobako, name) / "pid").read_text())["monitor"])


def pipe(kobako: Kobako, *words: str) -> subprocess.Popen[bytes]:
    return kobako.popen(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def say(child: subprocess.Popen[bytes], line: bytes) -> None:
    assert child.stdin is not None
    child.stdin.write(line + b"\n")
    child.stdin.flush()


def hear(child: subprocess.Popen[bytes]) -> bytes:
    assert child.stdout is not None
    return child.stdout.readline()


def hang_up(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.close()
    child.stdin = None


def test_a_shell_left_and_come_back_to(kobako: Kobako, name: str) -> None:
    """Its prompt is drawn anew, its size is the visitor's; what it printed is in the log."""
    kobako("run", "-dit", "--name", name, *QUIET, "python", *BASH)
    for size in (33, 99), (40, 70):
        child = kobako.spawn("attach", name, size=size)
        child.expect_exact("hako$ ")
        child.sendline("stty size")
        child.expect_exact("{} {}\r\n".format(*size))
        leave(child)
    child = kobako.spawn("attach", "--detach-keys", "ctrl-a,d", name)  # of another size
    child.expect_exact("hako$ ")
    child.send(LEAVE + "\r")  # Ctrl-Q is the terminal's own
    child.expect_exact("hako$ ")
    child.setwinsize(41, 77)
    child.sendline("until [ \"$(stty size)\" = '41 77' ]; do :; done; echo si''zed")
    child.expect_exact("sized\r\n")
    child.send("\x01d")
    child.expect_exact("read escape sequence")
    assert finish(child) == 1
    child = look_in(kobako, name)
    child.sendline("exit 13")
    assert finish(child) == 13
    assert kobako.show("{{.State.ExitCode}}", name) == "13"
    assert "33 99" in kobako("logs", name).out and "sized" in kobako("logs", name).out


@pytest.mark.parametrize("verb", ["run", "start"])
def test_what_was_started_by_hand(kobako: Kobako, name: str, verb: str) -> None:
    """run -it and start -ai: left with the keys, then attached to, and while they are there."""
    if verb == "run":
        child = kobako.spawn("run", "-it", "--name", name, *QUIET, "python", *BASH)
    else:
        kobako("create", "-it", "--name", name, *QUIET, "python", *BASH)
        child = kobako.spawn("start", "-ai", name)
    child.expect_exact("hako$ ")
    other = look_in(kobako, name)
    child.sendline("echo bo''th")
    other.expect_exact("both\r\n")
    child.expect_exact("both\r\n")
    leave(child, 0)  # the monitor becomes a smaller process: the other stays
    other.sendline("echo mo''re")
    other.expect_exact("more\r\n")
    leave(other)
    again = look_in(kobako, name, *([] if verb == "run" else ["start", "-ai"]))
    again.sendline("exit 4")
    assert finish(again) == 4


def test_several_at_once(kobako: Kobako, name: str) -> None:
    kobako("run", "-dit", "--rm", "--name", name, *QUIET, "python", *BASH)
    children = [look_in(kobako, name) for _ in range(4)]
    children[0].sendline("echo a''ll")
    for child in children:
        child.expect_exact("all\r\n")
    leave(children.pop())
    killed = children.pop()
    killed.kill(signal.SIGKILL)
    children[0].sendline("exit 5")
    for child in children:
        assert finish(child) == 5  # though --rm has removed it
    eventually(lambda: not kobako("ps", "-aq", "--filter", f"name={name}").out, "it is removed")


@pytest.mark.parametrize("how", ["exit", "TERM", "KILL", "monitor", "container"])
def test_the_mode_of_the_terminal(kobako: Kobako, name: str, how: str) -> None:
    """However it ends, the visitor's terminal is as before; nothing is left hanging."""
    kobako("run", "-dit", "--name", name, *QUIET, "python", *BASH)
    first = int(kobako.show("{{.State.Pid}}", name))
    child = kobako.spawn("attach", name)
    before = mode_of_a_new_terminal()  # that of the child's it may have changed already
    child.send("\r")
    child.expect_exact("hako$ ")
    assert termios.tcgetattr(child.child_fd) != before
    if how == "exit":
        child.sendline("exit")
    elif how == "monitor":
        os.kill(monitor(kobako, name), signal.SIGKILL)
    elif how == "container":
        kobako("kill", name)
    else:
        os.kill(child.pid, getattr(signal, f"SIG{how}"))
    child.expect(pexpect.EOF)
    if how != "KILL":
        assert termios.tcgetattr(child.child_fd) == before
    child.close()
    if how in ("TERM", "KILL"):
        assert kobako.show("{{.State.Running}}", name) == "true"
        child = look_in(kobako, name)
        leave(child)
    else:
        eventually(lambda: not Path(f"/proc/{first}").exists(), "it has ended")
        assert child.exitstatus == {"exit": 0, "container": 137, "monitor": 1}[how]


def mode_of_a_new_terminal() -> list[object]:
    master, slave = os.openpty()
    try:
        return termios.tcgetattr(master)
    finally:
        os.close(master)
        os.close(slave)


def test_stdin_stays_open_when_it_was_started_detached(kobako: Kobako, name: str) -> None:
    """run -d -i: the end of a visitor's input is not the end of the container's."""
    kobako("run", "-di", "--name", name, *QUIET, "python", "sh", "-c", ECHO)
    one, two = pipe(kobako, "attach", name), pipe(kobako, "attach", name)
    say(one, b"one")
    assert hear(one) == b"got one\n"
    hang_up(one)
    say(two, b"two")
    while (line := hear(two)) != b"got two\n":  # it came before the first, or after
        assert line == b"got one\n"
    assert hear(one) == b"got two\n"
    two.kill()
    two.communicate()
    three = pipe(kobako, "attach", name)
    say(three, b"three")
    assert hear(three) == b"got three\n"
    kobako("stop", "-t", "0", name)
    assert three.wait() == one.wait() == 137
    three.communicate()
    one.communicate()


def test_stdin_ends_with_the_first_visitor(kobako: Kobako, name: str) -> None:
    """create -i, start: docker's StdinOnce."""
    kobako("create", "-i", "--name", name, *QUIET, "python", "sh", "-c", ECHO)
    assert kobako.show("{{.Config.StdinOnce}} {{.Config.AttachStdin}}", name) == "true true"
    kobako("start", name)
    kobako.fails("attach", name, data=b"one\ntwo", code=7)
    assert kobako("logs", name).out == "got one\nend"
    kobako.fails("start", "-i", name, data=b"three\n", code=7)
    command = pipe(kobako, "start", "-a", name)  # nobody writes, and it does not end
    eventually(lambda: kobako.show("{{.State.Running}}", name) == "true", "it runs")
    visitor = pipe(kobako, "attach", name)
    say(visitor, b"four")
    assert hear(visitor) == b"got four\n" and hear(command) == b"got four\n"
    visitor.kill()
    visitor.communicate()
    assert hear(command) == b"end\n"
    assert command.wait() == 7
    command.communicate()


def test_neither_input_nor_terminal(kobako: Kobako, name: str) -> None:
    """Output and its streams, the exit code; a signal is passed on, or ends the visit alone."""
    script = "trap 'echo out; echo err >&2; exit 3' TERM; echo begun; while :; do sleep 0.05; done"
    kobako("run", "-d", "--name", name, *QUIET, "python", "sh", "-c", script)
    eventually(lambda: "begun" in kobako("logs", name).out, "it runs")
    visitor = kobako.popen("attach", "--sig-proxy=false", name)
    fdinfo = f"/proc/{visitor.pid}/fdinfo"
    eventually(lambda: _waits_for_the_log(fdinfo), "it listens")
    visitor.terminate()
    visitor.communicate()
    assert visitor.returncode == -signal.SIGTERM
    assert kobako.show("{{.State.Running}}", name) == "true"
    visitor = kobako.popen("attach", name)
    eventually(lambda: _catches(visitor.pid, signal.SIGTERM), "it passes signals on")
    visitor.terminate()
    out, err = visitor.communicate()
    assert (visitor.returncode, out, err) == (3, b"out\n", b"err\n")


def _catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (number - 1) & 1)


def _waits_for_the_log(fdinfo: str) -> bool:
    def text(name: str) -> str:
        try:
            return Path(fdinfo, name).read_text()
        except OSError:
            return ""

    return any("pos:\t" in text(n) and "Pid:\t" in text(n) for n in os.listdir(fdinfo))


def test_beside_a_foreground_run(kobako: Kobako, name: str) -> None:
    """Nothing was made for visitors: they see what is logged, and get the exit code."""
    command = pipe(kobako, "run", "-i", "--name", name, *QUIET, "python", "sh", "-c", ECHO)
    say(command, b"one")
    assert hear(command) == b"got one\n"
    visitor = pipe(kobako, "attach", name)
    fdinfo = f"/proc/{visitor.pid}/fdinfo"
    eventually(lambda: _waits_for_the_log(fdinfo), "it listens")
    say(command, b"two")
    assert hear(visitor) == b"got two\n"
    hang_up(command)
    assert hear(visitor) == b"end\n"
    assert command.wait() == visitor.wait() == 7
    command.communicate()
    visitor.communicate()


def test_without_a_log(kobako: Kobako, name: str) -> None:
    """What nobody logs is shown to those who are there."""
    kobako("run", "-dit", "--log-driver", "none", "--name", name, *QUIET, "python", *BASH)
    child = look_in(kobako, name)
    child.sendline("seq 100000; echo do''ne")
    child.expect_exact("done\r\n")
    leave(child)
    child = look_in(kobako, name)
    child.sendline("exit 2")
    assert finish(child) == 2


def test_a_visitor_that_does_not_read(kobako: Kobako, name: str) -> None:
    """A stopped one holds up neither the container nor its log, and misses nothing."""
    script = "read go; seq 300000; echo all; read end; exit 6"
    kobako("run", "-di", "--name", name, *QUIET, "python", "sh", "-c", script)
    stopped, other = pipe(kobako, "attach", name), pipe(kobako, "attach", name)
    for child in stopped, other:
        eventually(lambda c=child: _waits_for_the_log(f"/proc/{c.pid}/fdinfo"), "it listens")
    for child in stopped, other:
        eventually(lambda c=child: _catches(c.pid, signal.SIGTERM), "it is there")
    stopped.send_signal(signal.SIGSTOP)
    say(other, b"go")
    eventually(lambda: kobako("logs", "--tail", "1", name).out == "all", "it wrote")
    say(other, b"end")
    assert other.communicate()[0].endswith(b"300000\nall\n")
    assert kobako.show("{{.State.ExitCode}}", name) == "6"
    stopped.send_signal(signal.SIGCONT)
    out, _ = stopped.communicate()
    assert out == "".join(f"{n}\n" for n in range(1, 300001)).encode() + b"all\n"
    assert stopped.returncode == 6


def test_a_visitor_that_does_not_read_where_nothing_is_logged(kobako: Kobako, name: str) -> None:
    """It holds up nobody either, and gets the beginning of what it missed."""
    script = "read go; seq 1000000; exit 6"
    kobako("run", "-di", "--log-driver", "none", "--name", name, *QUIET, "python", "sh", "-c",
           script)  # fmt: skip
    stopped, other = pipe(kobako, "attach", name), pipe(kobako, "attach", name)
    for child in stopped, other:
        eventually(lambda c=child: _catches(c.pid, signal.SIGTERM), "it is there")
    stopped.send_signal(signal.SIGSTOP)
    say(other, b"go")
    assert kobako("wait", name).out == "6"
    stopped.send_signal(signal.SIGCONT)
    out, _ = stopped.communicate()
    other.communicate()
    assert stopped.returncode == other.returncode == 6
    assert out and b"".join(b"%d\n" % n for n in range(1, 1000001)).startswith(out)


def test_a_log_of_many_files(kobako: Kobako, name: str) -> None:
    """The next file is begun while it is read."""
    options = ["--log-opt", "max-size=20k", "--log-opt", "max-file=1000"]
    script = "read go; for i in 1 2 3 4 5 6 7 8 9; do seq 9999; done; exit 6"
    kobako("run", "-di", *options, "--name", name, *QUIET, "python", "sh", "-c", script)
    result = kobako.attempt("attach", name, data=b"go\n")
    assert result.code == 6
    assert result.raw == b"".join(b"%d\n" % n for n in range(1, 10000)) * 9


def test_errors(kobako: Kobako, name: str) -> None:
    stopped = "You cannot attach to a stopped container, start it first"
    kobako("create", "-t", "--name", name, *QUIET, "python", "sleep", "600")
    kobako.fails("attach", name, says=stopped)
    kobako("start", name)
    kobako("pause", name)
    paused = "You cannot attach to a paused container, unpause it first"
    kobako.fails("attach", name, says=paused)
    kobako.fails("start", "-a", name, says=paused)
    kobako("unpause", name)
    kobako.fails("attach", name, data=b"x", says="the input device is not a TTY")
    kobako.fails("attach", "--no-stdin", "--detach-keys", "abc", name,
                 says="Invalid detach keys (abc) provided")  # fmt: skip
    kobako.fails("attach", f"{name}-other", says=f"No such container: {name}-other")
    kobako.fails("attach", says='"kobako attach" requires exactly 1 argument')
    kobako("kill", name)
    kobako.fails("attach", name, says=stopped)


def test_the_socket_is_the_users_alone(kobako: Kobako, name: str) -> None:
    """In a path that is longer than a socket's address, too; nobody else can reach it."""
    deep = kobako.at(kobako.root.parent / ("d" * 60) / ("e" * 60) / "store")
    kobako("save", "-o", str(kobako.root.parent / "python.tar"), "python")
    deep("load", "-i", str(kobako.root.parent / "python.tar"))
    try:
        deep("run", "-dit", "--name", name, *QUIET, "python", *BASH)
        place = state_dir(deep, name)
        socket = place / "attach.sock"
        assert len(str(socket)) > 107
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert socket.stat().st_uid == os.getuid()
        child = look_in(deep, name)
        child.sendline("exit 9")
        assert finish(child) == 9
        for _ in range(2):  # the socket of last time is replaced
            deep("start", name)
            child = look_in(deep, name)
            child.sendline("exit 8")
            assert finish(child) == 8
    finally:
        deep("system", "reset", "-f")
