"""Inside of a container of others, as a pod's: there are user namespaces, but parts of /proc are
masked, and so the kernel grants no other. Containers share the processes around them then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_command import Kobako, eventually

from command_lines import command_lines
from kobako_command import PROGRAM

pytestmark = pytest.mark.only("root")  # who may mask a part of /proc

MASK = 'mount --bind /dev/null /proc/version && exec "$@"'


class Inside(Kobako):
    program = ("unshare", "--mount", "sh", "-c", MASK, "sh", *PROGRAM, "--mode", "emulated")


@pytest.fixture
def inside(elsewhere: Kobako) -> Iterator[Kobako]:
    other = Inside(elsewhere.root, elsewhere.home)
    other("image", "from-host", "--name", "base", *"sh cat ls sleep python3".split())
    yield other
    other.attempt("system", "reset", "-f")


def sleeping(seconds: str) -> bool:
    """Whether there is a `sleep` of so many seconds on this machine."""
    return f"sleep {seconds} " in command_lines().values()


def test_containers_and_builds_run(inside: Kobako, tmp_path: Path) -> None:
    script = "cat /proc/self/comm; ls /proc/self/fd > /dev/null && echo own"
    assert inside("run", "--rm", "base", "sh", "-c", script).lines == ["cat", "own"]
    serve = "import socket; print(socket.create_server(('127.0.0.1', 0)).getsockname()[0])"
    assert inside("run", "--rm", "--network", "none", "base", "python3", "-c", serve).out == (
        "127.0.0.1"
    )
    (tmp_path / "Dockerfile").write_text("FROM base\nRUN ls /proc/self > /seen\nCMD cat /seen\n")
    inside("build", "-q", "-t", "built", str(tmp_path))
    assert "cmdline" in inside("run", "--rm", "built").lines
    info = inside("info").out
    assert " Process Isolation: none: " in info
    assert inside("info", "-f", "{{.ProcessIsolation}}").out == "false"


def test_nothing_of_a_container_outlives_it(inside: Kobako) -> None:
    script = "sleep 86399.25 & sleep 86399.25 & exit 3"
    assert inside.attempt("run", "--rm", "base", "sh", "-c", script).code == 3
    assert not sleeping("86399.25")
    inside("run", "-d", "--name", "kept", "base", "sh", "-c", "sleep 86399.5 & sleep 86399.75")
    eventually(lambda: sleeping("86399.75"), "it runs")
    assert inside("exec", "kept", "sh", "-c", "echo in").out == "in"
    inside("kill", "kept")
    assert inside("wait", "kept").out == "137"
    assert not sleeping("86399.5") and not sleeping("86399.75")


def test_a_whole_proc_gives_processes_of_its_own(elsewhere: Kobako) -> None:
    elsewhere("--mode", "emulated", "image", "from-host", "--name", "base", *"sh cat".split())
    words = ("run", "--rm", "base", "sh", "-c", "echo $$")
    assert elsewhere("--mode", "emulated", *words).out == "1"
    assert elsewhere("info", "-f", "{{.ProcessIsolation}}").out == "true"
