"""Health checks: what is executed, what comes of it, that nothing of it is left or in the way."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from e2e_command import Kobako, eventually
from e2e_sources import Builder

from command_lines import command_lines

SLEEP = "while :; do sleep 0.05; done"
AT_ONCE = ("--health-interval", "50ms")


def begin(
    kobako: Kobako, name: str, *flags: str, script: str = SLEEP, image: str = "python"
) -> str:
    words = ("run", "-d", "--name", name, "--network", "none", *flags, image, "sh", "-c", script)
    return str(kobako(*words).out)


def health(kobako: Kobako, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kobako.show("{{json .State.Health}}", name))
    return found


def becomes(kobako: Kobako, name: str, status: str) -> dict[str, Any]:
    eventually(lambda: health(kobako, name)["Status"] == status, f"{name} is {status}")
    return health(kobako, name)


def up(kobako: Kobako, name: str) -> str:
    """How the STATUS of a running one ends; else the whole of it."""
    shown = kobako("ps", "-a", "--filter", f"name=^/{name}$", "--format", "{{.Status}}").out
    return shown.partition(" (")[2] if shown.startswith("Up ") else shown


def listed(kobako: Kobako, name: str, status: str) -> bool:
    words = (
        "--filter",
        f"name=^/{name}$",
        "--filter",
        f"health={status}",
        "--format",
        "{{.Names}}",
    )
    return kobako("ps", "-a", *words).out == name


def happened(kobako: Kobako, name: str, *events: str) -> list[str]:
    which = [word for event in events for word in ("--filter", f"event={event}")]
    own = kobako.show("{{.Id}}", name)  # names of other tests may begin with this one
    words = ("events", "--since", "10m", "--until", "0s", "--filter", f"container={own}", *which)
    return kobako(*words, "--format", "{{.Action}}").lines


def running(*words: str, begin: str = "") -> dict[int, int]:
    """The processes whose command lines have all these words, and their parents."""
    found = {}
    for pid, line in command_lines().items():
        if line.startswith(begin) and all(word in line for word in words):
            try:
                stat = Path(f"/proc/{pid}/stat").read_text()
            except OSError:
                continue
            found[pid] = int(stat.rpartition(")")[2].split()[1])
    return found


def probers(container: str) -> list[int]:
    """Without their children, unless those are left alone."""
    found = running("__probe", container)
    return [pid for pid, parent in found.items() if parent not in found]


def stuck(kobako: Kobako, name: str) -> list[int]:
    """The shells that wait for what `until_stuck` has made; its text is in other processes, too."""
    return list(running(f"{kobako.root}/{name}", begin="sh -c while "))


def test_it_follows_what_the_check_says(kobako: Kobako, name: str) -> None:
    check = "[ -e /sick ] || exec echo fine; cat /sick; exit 7"
    begin(kobako, name, *AT_ONCE, "--health-cmd", check, "--health-retries", "2")
    found = becomes(kobako, name, "healthy")
    assert found["FailingStreak"] == 0
    assert (found["Log"][0]["ExitCode"], found["Log"][0]["Output"]) == (0, "fine\n")
    assert up(kobako, name) == "healthy)" and listed(kobako, name, "healthy")
    kobako("exec", name, "sh", "-c", "echo ill >/sick")
    eventually(lambda: health(kobako, name)["FailingStreak"] > 2, "failures go on being counted")
    found = health(kobako, name)
    assert found["Status"] == "unhealthy"
    assert up(kobako, name) == "unhealthy)" and listed(kobako, name, "unhealthy")
    eventually(lambda: {p["ExitCode"] for p in health(kobako, name)["Log"]} == {7}, "all log")
    last = health(kobako, name)["Log"]
    assert len(last) == 5 and last[-1]["Output"] == "ill\n"
    assert last[0]["Start"] < last[0]["End"] < last[1]["Start"]
    kobako("exec", name, "rm", "/sick")
    becomes(kobako, name, "healthy")
    assert happened(kobako, name, "health_status") == [
        "health_status: healthy", "health_status: unhealthy", "health_status: healthy",
    ]  # fmt: skip
    assert happened(kobako, name, "exec_create", "exec_start", "exec_die")[:3] == [
        f"exec_create: /bin/sh -c {check}", f"exec_start: /bin/sh -c {check}", "exec_die",
    ]  # fmt: skip


def test_before_the_first_probe_and_after_the_end(kobako: Kobako, name: str) -> None:
    flags = ("--health-cmd", "true", "--health-interval", "1h")
    kobako("create", "--name", name, "--network", "none", *flags, "python", "sh", "-c", SLEEP)
    assert "Health" not in json.loads(kobako.show("{{json .State}}", name))
    assert listed(kobako, name, "none")
    kobako("start", name)
    container = kobako.show("{{.Id}}", name)
    assert health(kobako, name) == {"Status": "starting", "FailingStreak": 0, "Log": []}
    assert list(json.loads(kobako.show("{{json .State}}", name)))[-2:] == ["FinishedAt", "Health"]
    assert up(kobako, name) == "health: starting)" and listed(kobako, name, "starting")
    eventually(lambda: len(probers(container)) == 1, "somebody waits")
    kobako("stop", "-t", "0", name)
    eventually(lambda: probers(container) == [], "nobody does")
    assert health(kobako, name) == {"Status": "unhealthy", "FailingStreak": 0, "Log": []}
    assert up(kobako, name).startswith("Exited (137)") and listed(kobako, name, "unhealthy")
    assert happened(kobako, name, "health_status") == []


def test_the_image_says_what_is_executed(kobako: Kobako, name: str, build: Builder) -> None:
    build(
        "FROM python\nENV WHO=me\nWORKDIR /usr/lib\nUSER daemon\n"
        'HEALTHCHECK --interval=50ms CMD ["sh", "-c", "echo $WHO; id -un; pwd >&2"]\n',
        "-t", f"{name}-exec",
    )  # fmt: skip
    begin(kobako, name, image=f"{name}-exec")
    output = becomes(kobako, name, "healthy")["Log"][0]["Output"]
    assert sorted(output.split()) == ["/usr/lib", "daemon", "me"]
    kobako("rm", "-f", name)
    build(
        'FROM python\nSHELL ["/bin/bash", "-c"]\n'
        "HEALTHCHECK --interval=50ms CMD echo ${BASH_VERSION:+bash}\n",
        "-t", f"{name}-shell",
    )  # fmt: skip
    begin(kobako, f"{name}-2", image=f"{name}-shell")
    assert becomes(kobako, f"{name}-2", "healthy")["Log"][0]["Output"] == "bash\n"
    container = begin(kobako, f"{name}-3", "--no-healthcheck", image=f"{name}-shell")
    assert "Health" not in json.loads(kobako.show("{{json .State}}", f"{name}-3"))
    assert listed(kobako, f"{name}-3", "none") and up(kobako, f"{name}-3") == ""
    assert probers(container) == []


def test_a_program_that_is_not_there(kobako: Kobako, name: str, build: Builder) -> None:
    build('FROM python\nHEALTHCHECK --interval=50ms CMD ["nosuch", "x"]\n', "-t", name)
    begin(kobako, name, "--health-retries", "1", image=name)
    found = becomes(kobako, name, "unhealthy")["Log"][0]
    assert found["ExitCode"] == -1 and "nosuch" in found["Output"]
    other = f"{name}-shell"
    begin(kobako, other, *AT_ONCE, "--health-cmd", "nosuch", "--health-retries", "1")
    found = becomes(kobako, other, "unhealthy")["Log"][0]
    assert found["ExitCode"] == 127 and "nosuch: not found" in found["Output"]


def test_long_output_is_cut(kobako: Kobako, name: str) -> None:
    begin(kobako, name, *AT_ONCE, "--health-cmd", "yes | head -c 300000")
    output = becomes(kobako, name, "healthy")["Log"][0]["Output"]
    assert output == "y\n" * 2048 + "..."


def test_a_check_that_takes_too_long(kobako: Kobako, name: str) -> None:
    flags = ("--health-timeout", "100ms", "--health-retries", "3")
    begin(kobako, name, *AT_ONCE, *flags, "--health-cmd", "sleep 1357; true")
    found = becomes(kobako, name, "unhealthy")["Log"][-1]
    assert found["ExitCode"] == -1
    assert found["Output"] == "Health check exceeded timeout (100ms)"
    left = [line for line in kobako("top", name).lines if "sleep 1357" in line]
    assert len(left) <= 2, left  # the shell and the program of a probe under way


def test_failures_while_it_starts_do_not_count(kobako: Kobako, name: str) -> None:
    flags = ("--health-start-period", "1h", "--health-retries", "1")
    begin(kobako, name, *AT_ONCE, *flags, "--health-cmd", "[ -e /ready ]")
    eventually(lambda: len(health(kobako, name)["Log"]) == 5, "it is checked")
    assert (health(kobako, name)["Status"], health(kobako, name)["FailingStreak"]) == (
        "starting",
        0,
    )
    kobako("exec", name, "touch", "/ready")
    becomes(kobako, name, "healthy")
    kobako("exec", name, "rm", "/ready")
    becomes(kobako, name, "unhealthy")


def until_stuck(kobako: Kobako, name: str, *flags: str) -> str:
    """A container that was healthy, whose check does not end while there is a file."""
    wait = f"while [ -e /stuck ]; do sleep 0.05; done; echo {kobako.root}/{name}"
    check = f"[ ! -e /stuck ] || exec sh -c '{wait}'"
    container = begin(kobako, name, *AT_ONCE, *flags, "--health-cmd", check)
    eventually(lambda: len(health(kobako, name)["Log"]) == 5, "it is checked")
    assert health(kobako, name)["Status"] == "healthy"
    kobako("exec", name, "touch", "/stuck")
    eventually(lambda: stuck(kobako, name), "a probe is under way")
    return container


def test_a_restart_begins_anew_and_keeps_the_log(kobako: Kobako, name: str) -> None:
    container = until_stuck(kobako, name)
    (before,) = probers(container)
    kobako("restart", "-t", "0", name)
    found = health(kobako, name)
    assert (found["Status"], found["FailingStreak"], len(found["Log"])) == ("starting", 0, 5)
    eventually(lambda: stuck(kobako, name), "a probe is under way")
    eventually(lambda: len(probers(container)) == 1, "one for each run")
    assert before not in probers(container)
    kobako("stop", "-t", "0", name)
    eventually(lambda: probers(container) == [], "nobody is left")
    found = health(kobako, name)
    assert (found["Status"], found["FailingStreak"], len(found["Log"])) == ("unhealthy", 0, 5)
    assert {probe["ExitCode"] for probe in found["Log"]} == {0}  # those under way do not count
    assert happened(kobako, name, "health_status") == ["health_status: healthy"]


@pytest.mark.parametrize("how", ["rm -f", "kill", "stop -t 0", "stop -t 0 --pid"])
def test_a_probe_under_way_ends_with_the_container(kobako: Kobako, name: str, how: str) -> None:
    flags = ("--pid", "host") if how.endswith("--pid") else ()
    container = until_stuck(kobako, name, *flags, "--rm")
    kobako(*how.removesuffix(" --pid").split(), name)
    eventually(lambda: probers(container) == [], "nobody waits")
    eventually(lambda: stuck(kobako, name) == [], "nothing runs")
    eventually(lambda: not (Path(kobako.root) / "containers" / container).exists(), "it is removed")


def test_a_pause(kobako: Kobako, name: str) -> None:
    container = until_stuck(kobako, name)
    kobako("pause", name)
    assert up(kobako, name) == "Paused)" and listed(kobako, name, "unhealthy")
    assert health(kobako, name)["Status"] == "unhealthy"
    file = Path(kobako.root) / "containers" / container / "state/health"
    eventually(lambda: json.loads(file.read_bytes())[0] == "unhealthy", "it has been noticed")
    eventually(lambda: stuck(kobako, name) == [], "the probe under way is ended")
    log = health(kobako, name)["Log"]
    assert {p["ExitCode"] for p in log} == {0}  # and does not count
    kobako("unpause", name)
    assert health(kobako, name)["Status"] == "unhealthy"
    eventually(lambda: stuck(kobako, name), "it is checked again")
    assert health(kobako, name)["Log"] == log
    kobako("exec", name, "rm", "/stuck")
    becomes(kobako, name, "healthy")
    assert happened(kobako, name, "health_status", "pause", "unpause") == [
        "health_status: healthy", "pause", "unpause", "health_status: healthy",
    ]  # fmt: skip


def test_who_checks_is_killed(kobako: Kobako, name: str) -> None:
    container = until_stuck(kobako, name)
    (prober,) = probers(container)
    before = health(kobako, name)
    os.kill(prober, signal.SIGKILL)
    eventually(lambda: probers(container) == [] and stuck(kobako, name) == [], "its probe ends too")
    assert health(kobako, name) == before
    kobako("exec", name, "rm", "/stuck")
    kobako("restart", "-t", "0", name)
    assert health(kobako, name)["Log"][0] in before["Log"]
    becomes(kobako, name, "healthy")


def test_what_comes_back_by_itself_is_checked_again(kobako: Kobako, name: str) -> None:
    script = "echo x >>/count; [ $(grep -c x /count) -ge 3 ] || exit 7; " + SLEEP
    flags = ("--restart", "always", "--health-cmd", "true")
    container = begin(kobako, name, *AT_ONCE, *flags, script=script)
    eventually(lambda: kobako.show("{{.RestartCount}}", name) == "2", "it runs for the third time")
    becomes(kobako, name, "healthy")
    eventually(lambda: len(probers(container)) == 1, "one checks it")
    assert happened(kobako, name, "health_status") == ["health_status: healthy"]


def test_who_starts_it_is_not_held(kobako: Kobako, name: str) -> None:
    """No descriptor of who ran it stays open, nor is its directory."""
    reading, writing = os.pipe()
    words = ("--name", name, "--network", "none", "--health-cmd", "true", "python", "sh", "-c")
    kobako("run", "-d", *words, SLEEP, pass_fds=(writing,))
    os.close(writing)
    assert os.read(reading, 1) == b""
    os.close(reading)
    container = kobako.show("{{.Id}}", name)
    eventually(lambda: [os.readlink(f"/proc/{p}/cwd") for p in probers(container)] == ["/"])


def test_ten_at_once_leave_a_store_that_is_whole(kobako: Kobako, name: str) -> None:
    names = [f"{name}-{number}" for number in range(10)]
    ids = [begin(kobako, one, *AT_ONCE, "--health-cmd", "true") for one in names]
    for one in names:
        becomes(kobako, one, "healthy")
    kobako("rm", "-f", *names)
    for container in ids:
        eventually(lambda container=container: probers(container) == [], container)  # type: ignore[misc]
    assert kobako("system", "fsck").code == 0
