"""Restart policies: what comes back by itself, what does not, and who may be killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_command import Kobako, eventually

from command_lines import command_lines

SLEEP = "while :; do sleep 0.05; done"
COUNT = "echo x >>/count; n=$(grep -c x /count); echo run $n; [ $n -ge 3 ] || exit 7; "


def begin(kobako: Kobako, name: str, script: str, *flags: str) -> str:
    words = ("run", "-d", "--name", name, "--network", "none", *flags, "python", "sh", "-c", script)
    return str(kobako(*words).out)


def shown(kobako: Kobako, name: str) -> str:
    return str(kobako.show("{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}", name))


def monitor(kobako: Kobako, container: str) -> int:
    """The pid of its monitor or of the restarter that has become of it."""
    import json

    path = Path(kobako.root) / "containers" / container / "state/pid"
    return int(json.loads(path.read_text())["monitor"])


def left(container: str) -> list[str]:
    """The command lines of processes that have to do with it."""
    return [line for line in command_lines().values() if container in line]


def test_it_comes_back_as_it_was(kobako: Kobako, name: str) -> None:
    container = begin(kobako, name, COUNT + SLEEP, "--restart", "always")
    eventually(lambda: shown(kobako, name) == "running 0 2", "it runs for the third time")
    assert kobako.show("{{.Id}} {{.State.Restarting}}", name) == f"{container} false"
    eventually(lambda: kobako("logs", name).out == "run 1\nrun 2\nrun 3", "it says so")
    policy = kobako.show("{{json .HostConfig.RestartPolicy}}", name)
    assert policy == '{"Name":"always","MaximumRetryCount":0}'
    kobako("stop", "-t", "0", name)
    eventually(lambda: left(container) == [], "nobody is left")
    assert shown(kobako, name) == "exited 137 2"
    kobako("start", name)
    assert shown(kobako, name) == "running 0 0"


LOOK = """
import sys
from kobako.engine.engine import Engine, Settings
from kobako.engine.inspection import inspect

engine, seen, last = Engine(Settings(sys.argv[1])), set(), ("", 0)
while last != ("running", 2):
    found = inspect(engine, sys.argv[2])
    last = found["State"]["Status"], found["RestartCount"]
    seen.add(last[0])
print(*sorted(seen))
"""


def test_who_looks_all_the_time_sees_nothing_else(kobako: Kobako, name: str) -> None:
    begin(kobako, name, COUNT + SLEEP, "--restart", "always")
    words = [sys.executable, "-c", LOOK, str(kobako.root), name]
    found = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert {*found.stdout.split()} <= {"restarting", "running"}


@pytest.mark.parametrize(
    ("policy", "code", "end"),
    [
        ("on-failure:2", 3, "exited 3 2"),
        ("on-failure", 0, "exited 0 0"),
        ("no", 3, "exited 3 0"),
    ],
)
def test_it_ends_when_its_policy_says_so(
    kobako: Kobako, name: str, policy: str, code: int, end: str
) -> None:
    container = begin(kobako, name, f"exit {code}", "--restart", policy)
    eventually(lambda: shown(kobako, name) == end, end)
    eventually(lambda: left(container) == [], "nobody is left")
    assert shown(kobako, name) == end


def in_back_off(kobako: Kobako, name: str, policy: str = "always") -> str:
    """A container that ends at once, by now in a back-off that is long enough to look at."""
    container = begin(kobako, name, "exit 1", "--restart", policy)
    eventually(
        lambda: (
            int(kobako.show("{{.RestartCount}}", name)) >= 5
            and shown(kobako, name).startswith("restarting 1")
        ),
        "it waits",
    )
    return container


def test_what_is_shown_and_refused_in_a_back_off(kobako: Kobako, name: str) -> None:
    container = in_back_off(kobako, name)
    assert kobako("ps", "--filter", f"name={name}", "--format", "{{.State}}").out == "restarting"
    status = kobako("ps", "--filter", f"name={name}", "--format", "{{.Status}}").out
    assert status.startswith("Restarting (1) ") and status.endswith(" ago")
    assert kobako.show("{{.State.Running}} {{.State.Restarting}}", name) == "true true"
    kobako.fails("exec", name, "true", says=f"Container {container} is restarting, wait until")
    kobako.fails("pause", name, says="is restarting, wait until the container is running")
    kobako.fails("attach", name, says="You cannot attach to a restarting container")
    kobako.fails("rm", name, says="container is restarting: stop the container before")
    assert name in kobako("start", name).out
    assert container not in kobako("container", "prune", "-f").out
    kobako("stop", name)
    assert shown(kobako, name).startswith("exited 1")
    eventually(lambda: left(container) == [], "nobody is left")


def test_the_restarter_is_killed(kobako: Kobako, name: str) -> None:
    container = in_back_off(kobako, name)
    os.kill(monitor(kobako, container), signal.SIGKILL)
    eventually(lambda: shown(kobako, name).startswith("exited 1"), "it is said")
    assert left(container) == []
    kobako("start", name)
    eventually(lambda: shown(kobako, name).startswith("restarting"), "its policy holds again")
    kobako("rm", "-f", name)
    eventually(lambda: left(container) == [], "nobody is left")
    assert not (Path(kobako.root) / "containers" / container).exists()


def test_the_monitor_is_killed(kobako: Kobako, name: str) -> None:
    container = begin(kobako, name, SLEEP, "--restart", "always")
    os.kill(monitor(kobako, container), signal.SIGKILL)
    eventually(lambda: shown(kobako, name) == "exited 255 0", "its container goes with it")
    kobako("start", name)
    assert shown(kobako, name) == "running 0 0"


def test_kill_ends_it_for_good_and_another_signal_need_not(kobako: Kobako, name: str) -> None:
    container = begin(kobako, name, SLEEP, "--restart", "always")
    kobako("kill", name)
    eventually(lambda: left(container) == [], "nobody is left")
    assert shown(kobako, name) == "exited 137 0"
    kobako("rm", name)
    script = "trap 'exit 4' HUP; echo ready; " + SLEEP
    begin(kobako, name, script, "--restart", "always", "--stop-signal", "TERM")
    eventually(lambda: kobako("logs", name).out == "ready", "it can be told")
    kobako("kill", "-s", "HUP", name)
    eventually(lambda: shown(kobako, name) == "running 0 1", "it comes back")
    kobako("rm", "-f", name)
    begin(kobako, name, script, "--restart", "unless-stopped", "--stop-signal", "TERM")
    eventually(lambda: kobako("logs", name).out == "ready", "it can be told")
    kobako("kill", "-s", "HUP", name)
    eventually(lambda: shown(kobako, name) == "exited 4 0", "it was stopped by a user")


def test_who_stays_with_it_leaves_at_its_first_end(kobako: Kobako, name: str) -> None:
    words = ("--name", name, "--network", "none", "python", "sh", "-c", COUNT + SLEEP)
    result = kobako.attempt("run", "--restart", "always", *words)
    assert (result.code, result.out) == (7, "run 1")
    eventually(lambda: shown(kobako, name) == "running 0 2", "it goes on without")


def test_ten_at_once_leave_a_store_that_is_whole(kobako: Kobako, name: str) -> None:
    names = [f"{name}-{number}" for number in range(10)]
    for one in names:
        begin(kobako, one, COUNT + SLEEP, "--restart", "on-failure")
    for one in names:
        eventually(lambda one=one: shown(kobako, one) == "running 0 2", one)  # type: ignore[misc]
    kobako("rm", "-f", *names)
    assert kobako("system", "fsck").code == 0
