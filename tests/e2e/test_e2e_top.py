"""What runs in a container."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest
from e2e_command import Kobako, eventually


def started(kobako: Kobako, name: str, *flags: str) -> int:
    """A container of two processes; the first one's pid."""
    script = "sleep 1234 & echo ready; wait"
    words = ("-d", "--name", name, "--network", "none", *flags, "python", "sh", "-c", script)
    kobako("run", *words)
    eventually(lambda: kobako("logs", name).out.strip() == "ready")
    return int(kobako.show("{{.State.Pid}}", name))


def test_columns_are_those_of_ps(kobako: Kobako, name: str) -> None:
    pid = started(kobako, name, "-t")
    first, shell, sleep = (line.split(maxsplit=7) for line in kobako("top", name).lines)
    assert first == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert shell[0] == sleep[0] == "root"
    assert shell[1] == sleep[2] == str(pid) and sleep[5] == "pts/0"
    assert shell[6] == "00:00:00" and sleep[7] == "sleep 1234"
    assert shell[7] == "sh -c sleep 1234 & echo ready; wait"
    kobako("pause", name)
    assert len(kobako("container", "top", name).lines) == 3
    kobako("unpause", name)


@pytest.mark.needs("ps")
def test_it_agrees_with_ps(kobako: Kobako, name: str) -> None:
    pid = started(kobako, name)
    said = subprocess.run(["ps", "-efww"], capture_output=True, text=True, check=True).stdout
    ours, theirs = (
        {words[1]: (words[2], words[7]) for line in lines for words in [line.split(maxsplit=7)]}
        for lines in (kobako("top", name).lines[1:], said.splitlines()[1:])
    )
    assert str(pid) in ours and len(ours) == 2
    assert {p: theirs[p] for p in ours} == ours


@pytest.mark.only("root", "mapped")
def test_users_are_the_containers(kobako: Kobako, name: str) -> None:
    started(kobako, name, "-u", "54321")
    assert {line.split()[0] for line in kobako("top", name).lines[1:]} == {"54321"}


@pytest.mark.needs("ps")
def test_options_are_for_ps(kobako: Kobako, name: str) -> None:
    pid = started(kobako, name)
    lines = kobako("top", name, "-eo", "pid,args").lines
    assert lines[0].split() == ["PID", "COMMAND"]
    assert [line.split(maxsplit=1)[1] for line in lines[1:]] == [
        "sh -c sleep 1234 & echo ready; wait",
        "sleep 1234",
    ]
    assert lines[1].split()[0] == str(pid)
    user = pwd.getpwuid(os.getuid()).pw_name
    rows = [line.split() for line in kobako("top", name, "aux").lines]
    assert rows[0][:2] == ["USER", "PID"] and len(rows) == 3
    assert all(user.startswith(row[0].rstrip("+")) for row in rows[1:])
    kobako.fails("top", name, "-eo", "comm", says="Couldn't find PID field in ps output")
    kobako.fails("top", name, "-zz", says="ps: error")


def test_a_machine_without_ps(kobako: Kobako, name: str, tmp_path: Path) -> None:
    started(kobako, name)
    other = kobako.at(Path(kobako.root))
    other.environ = {**kobako.environ, "PATH": str(tmp_path)}
    assert len(other("top", name).lines) == 3
    other.fails("top", name, "-ef", says="ps is not installed")


def test_what_does_not_run_has_no_processes(kobako: Kobako, name: str) -> None:
    kobako("create", "--name", name, "python", "true")
    said = f"Container {kobako.show('{{.Id}}', name)} is not running"
    kobako.fails("top", name, says=said)
    kobako.fails("top", "nobody", says="No such container: nobody")
    kobako.fails("top", says="requires at least 1 argument")
