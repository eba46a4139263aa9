"""Whatever stands in a Dockerfile: parsing, expanding, lowering and checking it end well, or with
an error that names a line of it. Nothing is executed here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from building import Site
from hypothesis import given, settings
from hypothesis import strategies as st
from linting import image, lint
from mutation import CHARACTERS, SEEDS, WORDS, mutated

from kobako.build import assemble
from kobako.build.dockerfile import DockerfileError, NotYet, StepFailed, parse
from kobako.build.dockerfile.expand import Expander
from kobako.build.dockerfile.source import Problem
from kobako.build.lint.outline import outline
from kobako.build.lint.subject import Subject
from kobako.build.lint.targets import Targets
from kobako.build.lint.written import written
from kobako.build.match import Pattern
from kobako.errors import KobakoError
from kobako.oci import Platform

FULL = os.environ.get("KOBAKO_TEST_FULL", "") not in ("", "0")
IMAGES = {"base:latest": image(), "s1": image(OnBuild=["RUN x", "COPY . /"])}


class Lowered(Exception):
    """Raised in place of solving."""


@pytest.fixture
def front_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site where a build ends before anything is executed."""

    def stop(*_: object) -> None:
        raise Lowered

    monkeypatch.setattr(assemble, "_solve", stop)
    site = Site(tmp_path)
    site.base("base", {"etc/passwd": "root:x:0:0::/:/bin/sh\n", "src/app": ""})
    site.put(
        {"a": "A", "b.c": "", "d/f": "F", "go.mod": "", "go.sum": "", ".dockerignore": "*.o\n"}
    )
    return site


def check(site: Site, text: str) -> None:
    """Everything the front end does to a text."""
    try:
        site.build(text)
    except Lowered:
        pass
    except (DockerfileError, NotYet, StepFailed) as error:
        assert_placed(text, error)
    fault = lint(text, images=IMAGES).fault
    if fault is not None:
        assert fault.message
        if isinstance(fault, (DockerfileError, NotYet, StepFailed)):
            assert_placed(text, fault)
    try:
        dockerfile = parse(text)
        Targets(dockerfile).text()
        host = Platform.host()
        lines = list(written(dockerfile.source))
        outline(Subject(dockerfile, lines, lambda *_: image(), host=host, platform=host)).text()
    except (DockerfileError, NotYet, StepFailed) as error:
        assert_placed(text, error)


def assert_placed(text: str, error: DockerfileError | NotYet | StepFailed) -> None:
    assert 1 <= error.line <= text.count("\n") + 1
    assert error.excerpt
    assert error.message


def test_real_ones_are_lowered(front_end: Site) -> None:
    for text in SEEDS[:2]:
        with pytest.raises(Lowered):
            front_end.build(text.replace("base:${TAG}", "base"))


@pytest.mark.parametrize("part", range(10))
def test_mutated(front_end: Site, part: int) -> None:
    count = 1000 if FULL else 60
    for number in range(part * 1000, part * 1000 + count):
        text = mutated(number)
        try:
            check(front_end, text)
        except BaseException as error:
            error.add_note(f"Dockerfile {number}: {text!r}")
            raise


@settings(max_examples=1000 if FULL else 100)
@given(st.lists(st.sampled_from([*WORDS, *CHARACTERS, " ", "\n", "A", "x"]), max_size=30))
def test_words_expand_or_say_why_not(parts: list[str]) -> None:
    text = "".join(parts)
    for escape in "\\`":
        expander = Expander({"A": "value", "B": "", "x": "*/*"}, escape)
        for function in (expander.word, expander.words, expander.body, expander.label):
            try:
                function(text)
            except Problem as problem:
                assert problem.message


@settings(max_examples=1000 if FULL else 100)
@given(st.text("ab*?[]^-\\!/.", max_size=40), st.text("ab/.]-\\", max_size=60), st.booleans())
def test_patterns_match_or_say_why_not(pattern: str, name: str, double_star: bool) -> None:
    try:
        Pattern(pattern, double_star=double_star).matches(name)
    except Problem as problem:
        assert problem.message


@pytest.mark.parametrize(
    "text",
    [
        "FROM base\n" + "RUN true \\\n" * 20_000,
        "FROM base\nENV A=" + "${A:-" * 5_000 + "x" + "}" * 5_000 + "\n",
        "FROM base\nCOPY " + "a " * 20_000 + "/x/\n",
        "FROM base\nENV A=" + "x" * 200_000 + "\nENV B=${A##*" + "x*" * 20 + "y}\n",
        "FROM base\nCOPY --exclude=" + "*a" * 200 + "b d /x\n",
        "FROM base\nCOPY <<E /x\n" + "$A" * 50_000 + "\nE\n",
        "".join(f"FROM base AS s{n}\nCOPY --from=s{n - 1} / /\n" if n else "FROM base AS s0\n"
                for n in range(300)),
        "FROM base\nCMD " + "[" * 20_000 + "\n",
        "FROM base\nEXPOSE 1-65535\n",
        "ARG A0=xx\n" + "".join(f"ARG A{n + 1}=$A{n}$A{n}\n" for n in range(12)) + "FROM base\n",
        "# " + "check=" * 10_000 + "\nFROM base\n",
        "FROM base\nRUN --mount=" + "a=b," * 10_000 + " x\n",
    ],
)  # fmt: skip
def test_much(front_end: Site, text: str) -> None:
    try:
        check(front_end, text)
    except KobakoError as error:
        raise AssertionError("no line") from error
