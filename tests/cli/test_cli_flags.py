"""Flags as docker reads them."""

from __future__ import annotations

import pytest

from kobako.cli import flags, help_text
from kobako.cli.flags import BOOL, LIST, NUMBER, TEXT, Command, Flag, Values

RUN = Command(
    "run",
    "run [OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Run",
    (
        Flag("interactive", "i", BOOL),
        Flag("tty", "t", BOOL),
        Flag("rm", "", BOOL),
        Flag("sig-proxy", "", BOOL, default=True),
        Flag("env", "e", LIST),
        Flag("name", "", TEXT),
        Flag("network", "", TEXT, default="host"),
        Flag("time", "", NUMBER),
    ),
    least=1,
    stops=True,
)


def parse(*words: str) -> tuple[Values, list[str]]:
    return flags.parse(RUN, words)


def test_short_flags_combine_and_take_values_in_every_form() -> None:
    values, rest = parse("-ti", "-eA=1", "-e", "B=2", "-e=C=3", "image")
    assert values.on("tty") and values.on("interactive")
    assert values.many("env") == ["A=1", "B=2", "C=3"]
    assert rest == ["image"]


def test_a_boolean_takes_a_value_only_after_an_equals_sign() -> None:
    values, rest = parse("--rm=false", "--tty", "image")
    assert not values.on("rm") and values.given("rm") and values.on("tty")
    assert rest == ["image"]
    assert not parse("--sig-proxy=0", "x")[0].on("sig-proxy")
    assert parse("x")[0].on("sig-proxy")


def test_flags_end_at_the_first_argument_where_the_verb_says_so() -> None:
    values, rest = parse("--name", "n", "image", "ls", "-l", "--rm")
    assert rest == ["image", "ls", "-l", "--rm"] and not values.on("rm")
    elsewhere = RUN.replace(stops=False)
    values, rest = flags.parse(elsewhere, ["image", "--rm", "--", "--tty"])
    assert values.on("rm") and rest == ["image", "--tty"]


def test_defaults_and_numbers() -> None:
    values, _ = parse("--time=10", "x")
    assert values.number("time") == 10 and values.text("network") == "host"
    assert values.text("name") == "" and values.many("env") == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nope"], "unknown flag: --nope"),
        (["-z"], "unknown shorthand flag: 'z' in -z"),
        (["-tz"], "unknown shorthand flag: 'z' in -tz"),
        (["--name"], "flag needs an argument: --name"),
        (["-te"], "flag needs an argument: 'e' in -te"),
        (["--rm=perhaps"], 'invalid argument "perhaps" for "--rm" flag'),
        (["--time=x"], 'invalid argument "x" for "--time" flag'),
    ],
)
def test_faults_are_told_in_dockers_words(words: list[str], message: str) -> None:
    with pytest.raises(flags.UsageError) as fault:
        parse(*words)
    assert message in str(fault.value)


def test_help_wins_over_missing_arguments() -> None:
    for word in ("--help", "-h"):
        with pytest.raises(flags.Help):
            parse(word)
    text = help_text.of_verb("kobako", RUN)
    assert text.startswith("Usage:  kobako run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun\n")
    assert "  -e, --env list" in text and '(default "host")' in text


def test_the_number_of_arguments_is_checked() -> None:
    with pytest.raises(flags.UsageError, match='"kobako run" requires at least 1 argument'):
        flags.check_count("kobako", RUN, 0)
    exact = RUN.replace(least=2, most=2)
    with pytest.raises(flags.UsageError, match="requires exactly 2 arguments"):
        flags.check_count("kobako", exact, 3)
    flags.check_count("kobako", exact, 2)


def test_rare_flags_are_looked_at_for_a_word_that_is_no_other() -> None:
    command = RUN.replace(rare="unmet_flags health_flags limit_flags")
    values, rest = flags.parse(command, ["--rm", "image", "--memory", "1g"])
    assert not values.knows("memory") and not values.given("memory") and rest[1:]
    values, rest = flags.parse(command, ["--rm", "-m", "1g", "--no-healthcheck", "image"])
    assert values.knows("restart") and values.text("memory") == "1g" and rest == ["image"]
    assert values.on("rm") and values.on("no-healthcheck")
    with pytest.raises(flags.UnknownFlag, match="unknown flag: --nothing"):
        flags.parse(command, ["--nothing", "image"])
    assert "--memory" in help_text.of_verb("kobako", command)
