"""Small Dockerfiles, built by kobako, against what BuildKit made of them. See README.md here."""

from __future__ import annotations

import json
from typing import Any

import conformance_cases as cases
import pytest
from conformance_builder import Builder

EXPECTED = {
    topic: json.loads((cases.EXPECTED / f"{topic}.json").read_text()) for topic in cases.topics()
}
DIVERGENCES = json.loads((cases.HERE / "divergences.json").read_text())
"""Cases kobako is known to build otherwise, and why; or why, by the identity that does."""
MAPPED_TOPICS = ("owner", "run", "trees")
"""A user with subordinate ids builds these, where owners matter, and a part of the others."""
TEXT_TOPICS = ("args", "config", "expand", "parser")
"""What the lines mean is found out before anybody becomes root: users build a part of these."""


def parameters() -> list[Any]:
    found = []
    for topic in cases.topics():
        for number, case in enumerate(cases.read(topic)):
            why = DIVERGENCES.get(case.id, {})
            if isinstance(why, str):
                why = {"root": why, "emulated": why, "mapped": why}
            part = number % 4 == 0
            who = ["root"]
            if topic not in TEXT_TOPICS or part or "emulated" in why:
                who.append("emulated")
            if topic in MAPPED_TOPICS or part or "mapped" in why:
                who.append("mapped")
            good = [name for name in who if name not in why]
            if good:
                mark = pytest.mark.only(*good)
                found.append(pytest.param(case, id=case.id, marks=mark))
            for reason in dict.fromkeys(why.values()):
                bad = pytest.mark.only(*(name for name in who if why.get(name) == reason))
                marks = [bad, pytest.mark.xfail(reason=reason, strict=True)]
                found.append(pytest.param(case, id=f"{case.id}-otherwise", marks=marks))
    return found


@pytest.mark.needs("busybox")
@pytest.mark.parametrize("case", parameters())
def test_conformance(case: cases.Case, builder: Builder) -> None:
    expected = EXPECTED[case.topic][case.name]
    found = builder.build(case)
    if "error" in expected:
        assert "error" in found, f"builds, but: {expected['error']['message']}"
        alike = {"exit", *expected["error"]} - {"message", *case.ignore}
        assert {k: found["error"].get(k) for k in alike} == {
            k: expected["error"].get(k) for k in alike
        }, f"{found['error']['message']}\nBuildKit: {expected['error']['message']}"
    else:
        for key in case.ignore:
            found.pop(key), expected.pop(key)
        assert found == expected


def test_every_expectation_has_a_case() -> None:
    for topic, expected in EXPECTED.items():
        assert list(expected) == [case.name for case in cases.read(topic)], topic
    known = {case.id for topic in cases.topics() for case in cases.read(topic)}
    assert set(DIVERGENCES) <= known
