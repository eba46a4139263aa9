"""What becomes of a container's health, probe by probe, and how it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kobako.engine import health
from kobako.engine.containers import Container
from kobako.engine.health import Check, Health, Probe
from kobako.runtime.state import State

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def probe(exit_code: int, after: int = 0) -> Probe:
    """One that began so many seconds after the start."""
    return Probe(START + after * SECOND, START + after * SECOND + 1, exit_code, "")


def statuses(check: Check, codes: list[int], every: int = 1) -> list[str]:
    """What a container is after each of its probes, which are so many seconds apart."""
    now = Health(started_ns=START)
    found = []
    for number, code in enumerate(codes, 1):
        now = health.counted(now, check, probe(code, number * every))
        found.append(f"{now.status} {now.streak}")
    return found


def test_so_many_failures_in_a_row() -> None:
    check = Check(("x",), retries=2)
    assert statuses(check, [1, 0, 1, 127, -1, 0, 5]) == [
        "starting 1", "healthy 0", "healthy 1", "unhealthy 2", "unhealthy 3", "healthy 0",
        "healthy 1",
    ]  # fmt: skip
    assert statuses(check, [1, 1]) == ["starting 1", "unhealthy 2"]


def test_failures_of_the_start_period_do_not_count() -> None:
    check = Check(("x",), retries=2, start_period=3 * SECOND)
    # The third begins when the period has just passed.
    assert statuses(check, [1, 1, 1, 1]) == [
        "starting 0", "starting 0", "starting 1", "unhealthy 2",
    ]  # fmt: skip


def test_a_success_ends_the_start_period() -> None:
    check = Check(("x",), retries=2, start_period=100 * SECOND)
    assert statuses(check, [1, 0, 1, 1]) == ["starting 0", "healthy 0", "healthy 1", "unhealthy 2"]


def test_an_interval_of_the_start_period() -> None:
    check = Check(("x",), interval=9, start_period=2 * SECOND, start_interval=4)
    now = Health(started_ns=START)
    assert health.pause_ns(now, check, START + SECOND) == 4
    assert health.pause_ns(now, check, START + 2 * SECOND) == 9
    assert health.pause_ns(now.replace(status=health.HEALTHY), check, START + SECOND) == 9
    assert health.pause_ns(now, check.replace(start_interval=0), START + SECOND) == 9


def test_the_last_five_results_are_kept_over_a_restart() -> None:
    check = Check(("x",))
    now = Health(started_ns=START)
    for number in range(7):
        now = health.counted(now, check, probe(number))
    assert [p.exit_code for p in now.log] == [2, 3, 4, 5, 6]
    assert now.anew(START + 1) == Health(log=now.log, started_ns=START + 1)


@pytest.mark.parametrize(
    ("config", "command"),
    [
        ({}, None),
        ({"Healthcheck": None}, None),
        ({"Healthcheck": {"Interval": 7}}, None),
        ({"Healthcheck": {"Test": ["NONE"], "Interval": 7}}, None),
        ({"Healthcheck": {"Test": ["CMD"]}}, None),
        ({"Healthcheck": {"Test": []}}, None),
        ({"Healthcheck": {"Test": ["CMD", "a", "b c"]}}, ("a", "b c")),
        ({"Healthcheck": {"Test": ["CMD-SHELL", "a b"]}}, ("/bin/sh", "-c", "a b")),
        (
            {"Healthcheck": {"Test": ["CMD-SHELL", "a"]}, "Shell": ["/bin/bash", "-lc"]},
            ("/bin/bash", "-lc", "a"),
        ),
    ],
)
def test_what_is_executed(config: dict[str, Any], command: tuple[str, ...] | None) -> None:
    found = health.check(config)
    assert (found.command if found else None) == command


def test_times_and_their_defaults() -> None:
    times = {"Interval": 1, "Timeout": 2, "StartPeriod": 3, "StartInterval": 4, "Retries": 5}
    config: dict[str, Any] = {"Test": ["CMD", "a"], **times}
    assert health.check({"Healthcheck": config}) == Check(("a",), 1, 2, 5, 3, 4)
    defaults = Check(("a",), 30 * SECOND, 30 * SECOND, 3, 0, 0)
    for nothing in ({}, dict.fromkeys(times, 0)):
        assert health.check({"Healthcheck": {"Test": ["CMD", "a"], **nothing}}) == defaults


def container(directory: Path, state: State, *test: str) -> Container:
    document = {"Config": {"Healthcheck": {"Test": [*test]}}}
    (directory / "state").mkdir(exist_ok=True)
    return Container("i", "n", "", "", 0, document, state, str(directory))


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    assert health.read(str(tmp_path)) is None
    log = (Probe(1, 2, -1, 'a "\n\ufffd\u00e9'), Probe(3, 4, 0, ""))
    known = Health(health.HEALTHY, 7, log, START)
    health.write(str(tmp_path), known)
    assert health.read(str(tmp_path)) == known
    assert [p.name for p in tmp_path.iterdir()] == ["health"]
    for torn in (b"", b"[", b"{}", b"[1]", b'["healthy",0,[[1]],0]'):
        (tmp_path / "health").write_bytes(torn)
        assert health.read(str(tmp_path)) is None
    health.write(str(tmp_path / "removed"), known)


def test_what_is_shown_of_a_state(tmp_path: Path) -> None:
    running = State("running", 1, started_ns=START)
    ended = State("exited", started_ns=START, finished_ns=START + 1)

    def shown(state: State) -> Health | None:
        return health.shown(container(tmp_path, state, "CMD", "true"))

    assert shown(State("created")) is None
    assert shown(State("exited", error="not started")) is None
    assert shown(running) == Health(started_ns=START)
    assert shown(ended) == Health(health.UNHEALTHY, started_ns=START)
    known = Health(health.HEALTHY, 0, (probe(0),), START)
    health.write(str(tmp_path / "state"), known)
    assert shown(running) == known
    gone = known.replace(status=health.UNHEALTHY)
    assert shown(ended) == shown(running.replace(status="paused")) == gone
    assert shown(State("exited", error="not started again")) == gone
    assert shown(running.replace(started_ns=START + 5)) == known.anew(START + 5)
    assert health.shown(container(tmp_path, running, "NONE")) is None
