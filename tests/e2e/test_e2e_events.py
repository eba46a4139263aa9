"""events: what really happens is told once, in order, and as docker tells it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_command import Kobako, eventually

from kobako_command import PROGRAM


@pytest.fixture
def begun() -> str:
    """--since for what a test does."""
    return f"{time.time():.6f}"


def told(kobako: Kobako, since: str, *words: str) -> list[dict[str, Any]]:
    written = kobako("events", "--since", since, "--until", "0s", "--format", "json", *words).out
    return [json.loads(line) for line in written.splitlines()]


def actions(events: list[dict[str, Any]], *types: str) -> list[str]:
    return [e["Action"] for e in events if e["Type"] in (types or ("container",))]


def of(kobako: Kobako, since: str, name: str) -> list[dict[str, Any]]:
    filters = ("--filter", f"container={name}", "--filter", "type=container")
    return told(kobako, since, *filters)


def test_a_container_from_its_making_to_its_removal(kobako: Kobako, name: str, begun: str) -> None:
    flags = ("--name", name, "-l", "a=b", "-l", "c=d e", "--network", "host")
    kobako.attempt("run", "--rm", *flags, "python", "sh", "-c", "exit 3")
    events = of(kobako, begun, name)
    assert actions(events) == ["create", "attach", "start", "die", "destroy"]
    common = {"a": "b", "c": "d e", "image": "python", "name": name}
    for event in events:
        attributes = dict(event["Actor"]["Attributes"])
        if event["Action"] == "die":
            assert attributes.pop("execDuration").isdigit()
            assert attributes.pop("exitCode") == "3"
        assert attributes == common
        assert (event["status"], event["from"]) == (event["Action"], "python")
    everything = told(kobako, begun)
    of_networks = [e for e in everything if e["Type"] == "network"
                   and e["Actor"]["Attributes"]["container"] == events[0]["id"]]  # fmt: skip
    assert [e["Action"] for e in of_networks] == ["connect", "disconnect"]
    assert of_networks[0]["Actor"]["Attributes"]["type"] == "host"


def test_what_is_done_to_one_that_runs(kobako: Kobako, name: str, begun: str) -> None:
    kobako("run", "-d", "--name", name, "-v", f"{name}-volume:/v", "python", "sleep", "100")
    kobako("exec", name, "true")
    kobako.attempt("exec", name, "sh", "-c", "exit 4", "x")
    kobako("pause", name)
    kobako("unpause", name)
    kobako("kill", "-s", "CHLD", name)
    kobako("top", name)
    kobako("rename", name, f"{name}-2")
    kobako("stop", "-t", "0", f"{name}-2")
    kobako("start", f"{name}-2")
    kobako("rm", "-f", f"{name}-2")
    kobako("volume", "rm", f"{name}-volume")
    events = of(kobako, begun, name)
    assert actions(events) == [
        "create", "start", "exec_create: true ", "exec_start: true ", "exec_die",
        "exec_create: sh -c exit 4 x", "exec_start: sh -c exit 4 x", "exec_die",
        "pause", "unpause", "kill", "top", "rename", "kill", "kill", "die", "stop", "start", "kill",
        "die", "destroy",
    ]  # fmt: skip
    seen = [e["Actor"]["Attributes"] for e in events]
    assert [a["exitCode"] for a in seen if "exitCode" in a] == ["0", "4", "137", "137"]
    assert [a["signal"] for a in seen if "signal" in a] == ["17", "15", "9", "9"]
    assert len({a["execID"] for a in seen if "execID" in a}) == 2
    assert [a["oldName"] for a in seen if "oldName" in a] == [f"/{name}"]
    # The monitor, too, knows the new name.
    assert {a["name"] for a in seen[13:]} == {f"{name}-2"}
    volumes = told(kobako, begun, "--filter", f"volume={name}-volume")
    assert actions(volumes, "volume") == [
        "create", "mount", "unmount", "mount", "unmount", "destroy"
    ]  # fmt: skip
    assert volumes[1]["Actor"]["Attributes"] == {
        "container": events[0]["id"], "destination": "/v", "driver": "local", "propagation": "",
        "read/write": "true",
    }  # fmt: skip


def test_the_end_is_told_when_the_client_is_gone(kobako: Kobako, name: str, begun: str) -> None:
    client = subprocess.Popen(
        [*PROGRAM, "run", "--rm", "--name", name, "-i", "python", "sh", "-c", "read x; exit 7"],
        env=kobako.environ, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    with client:
        eventually(lambda: "start" in actions(of(kobako, begun, name)), "it has started")
        client.send_signal(signal.SIGKILL)
        client.wait()
        assert "die" not in actions(of(kobako, begun, name))
    eventually(lambda: "destroy" in actions(of(kobako, begun, name)), "it has been removed")
    events = of(kobako, begun, name)
    assert actions(events)[-3:] == ["start", "die", "destroy"]
    assert events[-2]["Actor"]["Attributes"]["exitCode"] == "7"


class Follower:
    """`kobako events` at work."""

    def __init__(self, kobako: Kobako, *words: str) -> None:
        command = [*PROGRAM, "events", "--format", "json", *words]
        self.process = subprocess.Popen(
            command, env=kobako.environ, stdout=subprocess.PIPE, text=True
        )
        self.events: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def interrupt(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait()
        self._thread.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def follower(kobako: Kobako, begun: str) -> Iterator[Follower]:
    found = Follower(kobako, "--since", begun)
    yield found
    found.interrupt()


def test_twenty_at_once(kobako: Kobako, name: str, follower: Follower) -> None:
    """Who follows sees each step of each once."""
    running = [
        subprocess.Popen(
            [*PROGRAM, "run", "--rm", "--name", f"{name}-{at}", "python", "true"],
            env=kobako.environ,
        )
        for at in range(20)
    ]
    assert [process.wait() for process in running] == [0] * 20

    def seen(at: int) -> list[str]:
        return [e["Action"] for e in follower.events
                if e["Actor"]["Attributes"].get("name") == f"{name}-{at}"]  # fmt: skip

    wanted = ["create", "attach", "start", "die", "destroy"]
    eventually(lambda: all("destroy" in seen(at) for at in range(20)), "it is told")
    assert [seen(at) for at in range(20)] == [wanted] * 20
    assert follower.interrupt() == 130


def test_until(kobako: Kobako, name: str, begun: str) -> None:
    kobako("create", "--name", name, "python")
    assert actions(of(kobako, begun, name)) == ["create"]
    between = f"{time.time():.6f}"
    kobako("rm", name)
    assert actions(of(kobako, between, name)) == ["destroy"]
    past = kobako("events", "--since", begun, "--until", between, "--filter", "type=container").out
    assert f"name={name}" in past
    assert "container destroy" not in past
    shown = kobako("events", "--until", str(int(time.time()) + 1), "-f", f"container={name}").out
    assert [line.split()[2] for line in shown.splitlines()] == ["create", "destroy"]
    kobako.fails("events", "--until", "yesterday", says="failed to parse value as time or duration")
    kobako.fails("events", "--filter", "name", code=125, says="bad format of filter")


def test_images(kobako: Kobako, small: str, begun: str, tmp_path: Path) -> None:
    image = kobako.show("{{.Id}}", small)
    kobako("tag", small, "told:1")
    kobako("save", "-o", str(tmp_path / "told.tar"), "told:1")
    kobako("rmi", "told:1")
    kobako("load", "-i", str(tmp_path / "told.tar"))
    kobako("create", "--name", "told", small, "true")
    try:
        made = kobako("commit", "-m", "why", "told", "told:2").out
    finally:
        kobako("rm", "told")
    kobako("rmi", "told:1", "told:2")
    kobako("builder", "prune", "-f")
    events = told(kobako, begun)
    images = [(e["Action"], e["id"]) for e in events if e["Type"] == "image"]
    assert images == [
        ("tag", image), ("save", image), ("untag", image), ("load", image), ("tag", made),
        ("untag", image), ("untag", made), ("delete", made),
    ]  # fmt: skip
    commit = next(e for e in events if e["Action"] == "commit")
    assert commit["Actor"]["Attributes"] == {
        "comment": "why", "image": "small", "imageID": made, "imageRef": "told:2", "name": "told",
    }  # fmt: skip
    assert [e["Actor"]["Attributes"].keys() for e in events if e["Type"] == "builder"] == [
        {"reclaimed"}
    ]


def test_a_full_log_stops_nobody(elsewhere: Kobako, tmp_path: Path) -> None:
    """A log that cannot be written is no fault of a command's."""
    elsewhere("images")
    log = Path(elsewhere.environ["KOBAKO_ROOT"]) / "events"
    os.rmdir(log)
    log.write_text("in the way")
    elsewhere("volume", "create", "one")
    assert elsewhere("volume", "ls", "-q").out == "one"
    log.unlink()
