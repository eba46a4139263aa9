"""events: lines and JSON as docker 20.10 printed them, of the events it printed them for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kobako.cli import events
from kobako.engine import event_filters
from kobako.engine.event_stream import Happening
from kobako.errors import Invalid

RECORDED = Path(__file__).with_name("docker_events")


def recorded() -> list[Happening]:
    found = []
    for text in (RECORDED / "messages.json").read_text().splitlines():
        message = json.loads(text)
        actor = message["Actor"]
        found.append(
            Happening(
                message["Type"], message["Action"], actor["ID"], actor["Attributes"],
                message["timeNano"],
            )
        )  # fmt: skip
    return found


def test_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    written = events._form("")
    assert [written(event) for event in recorded()] == (
        (RECORDED / "lines.txt").read_text().splitlines()
    )


@pytest.mark.parametrize("form", ["json", "{{json .}}"])
def test_json(form: str) -> None:
    written = events._form(form)
    assert [written(event) for event in recorded()] == (
        (RECORDED / "messages.json").read_text().splitlines()
    )


def test_a_template() -> None:
    written = events._form("{{.Type}} {{.Action}} {{.From}} {{.Actor.Attributes.name}} {{.Time}}")
    died = next(e for e in recorded() if e.action == "die" and e.attributes["name"] == "r1")
    assert written(died) == f"container die bb r1 {died.time_ns // 10**9}"
    written = events._form("{{.Actor.Attributes.signal}}|{{json .Actor.Attributes}}")
    made = next(e for e in recorded() if e.type == "volume")
    assert written(made) == '|{"driver":"local"}'


@pytest.mark.parametrize(
    ("filters", "shown"),
    [
        ({"label": ["a=b"]}, ["create", "attach", "start", "die", "destroy"]),
        ({"label": ["a=b", "c"], "event": ["die"]}, ["die"]),
        ({"label": ["a=b", "missing"]}, []),
        ({"container": ["r1"], "event": ["start", "die"]}, ["start", "die"]),
        ({"container": ["189447613c"], "event": ["start"]}, ["start"]),
        ({"event": ["exec_die"]}, ["exec_die", "exec_die"]),
        ({"event": ["exec_start"]}, ["exec_start: true ", "exec_start: sh -c exit 4 x"]),
        ({"type": ["builder"]}, ["prune", "prune"]),
        ({"image": ["bc"]}, []),
        ({"image": ["imp"]}, ["tag"]),
        ({"image": ["imp:1"]}, ["tag"]),
        ({"volume": ["vv"]}, ["create", "destroy"]),
        ({"daemon": ["x"]}, []),
    ],
)
def test_a_filter(filters: dict[str, list[str]], shown: list[str]) -> None:
    assert [e.action for e in recorded() if event_filters.passes(e, filters)] == shown


def test_a_filter_there_is_not() -> None:
    with pytest.raises(Invalid, match="invalid filter 'imgae'"):
        event_filters.check({"imgae": ["x"]})
