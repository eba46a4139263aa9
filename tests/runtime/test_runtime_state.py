"""What is read while a container is started again: two files, never of two lives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kobako import fastjson
from kobako.engine import restarting
from kobako.runtime import state


def begin(place: Path, started_ns: int) -> None:
    """As a monitor does: of the last life nothing is left."""
    (place / "exit").unlink(missing_ok=True)
    document = {"pid": 1, "start_time": -1, "monitor": 0, "started_ns": started_ns}
    (place / "pid").write_bytes(fastjson.dumps(document))


def end(place: Path, finished_ns: int) -> None:
    document = {"exit_code": 7, "finished_ns": finished_ns, "error": ""}
    (place / "exit").write_bytes(fastjson.dumps(document))


def once(do: Callable[[], None]) -> Callable[[], None]:
    left = [do]

    def now() -> None:
        if left:
            left.pop()()

    return now


def live(place: Path, started_ns: int) -> None:
    begin(place, started_ns)
    end(place, started_ns + 1)


@pytest.mark.parametrize("had_begun", [True, False])
def test_an_end_is_told_with_its_own_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, had_begun: bool
) -> None:
    if had_begun:
        live(tmp_path, 100)
    read, another = state._read, once(lambda: live(tmp_path, 200))

    def then_another_life(state_dir: str, name: str) -> dict[str, object] | None:
        found = read(state_dir, name)
        another()
        return found

    monkeypatch.setattr(state, "_read", then_another_life)
    now = state.state(str(tmp_path))
    assert (now.status, now.started_ns, now.finished_ns) == ("exited", 200, 201)


def test_who_restarts_it_is_looked_for_again_when_it_has_ended_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(tmp_path, 100)
    another = once(lambda: live(tmp_path, 200))
    lives = [False, True]  # the first one has gone, and the next has come meanwhile

    def then_another_life(pid: int, container_id: str) -> bool:
        another()
        return lives.pop(0)

    monkeypatch.setattr(restarting, "_lives", then_another_life)
    now = state.state(str(tmp_path))
    found = restarting.look("id", restarting.policy("always"), str(tmp_path), now)
    assert (found.status, found.finished_ns) == ("restarting", 201)


def test_nobody_is_there_to_restart_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live(tmp_path, 100)
    monkeypatch.setattr(restarting, "_lives", lambda pid, container_id: False)
    now = state.state(str(tmp_path))
    assert restarting.look("id", restarting.policy("always"), str(tmp_path), now) == now
