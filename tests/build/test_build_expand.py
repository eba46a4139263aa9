"""Variables, quotes and escapes in words; Go text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kobako.build import gotext
from kobako.build.dockerfile.expand import Expander
from kobako.build.dockerfile.source import Problem

ENV = {"A": "foo.tar.gz", "EMPTY": "", "TWO": "x y", "STAR": "a*b*c", "P": "/usr/local/bin"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$A", "foo.tar.gz"),
        ("${A}x", "foo.tar.gzx"),
        ("$Ax", ""),
        ("$NOPE.", "."),
        ("a$", "a$"),
        ("$ A", "$ A"),
        ("\\$A", "$A"),
        ("\\\\$EMPTY", "\\"),
        ("'$A'", "$A"),
        ('"$A"', "foo.tar.gz"),
        ('"\\$A \\x"', "$A \\x"),
        ('"it\'s"', "it's"),
        ("${EMPTY:-w}", "w"),
        ("${EMPTY-w}", ""),
        ("${NOPE-w}", "w"),
        ("${NOPE:-$A}", "foo.tar.gz"),
        ("${NOPE:-${EMPTY:-deep}}", "deep"),
        ("${NOPE:-'}'}", "}"),
        ("${A:+w}", "w"),
        ("${EMPTY:+w}", ""),
        ("${EMPTY+w}", "w"),
        ("${NOPE+w}", ""),
        ("${A:?e}", "foo.tar.gz"),
        ("${EMPTY?e}", ""),
        ("${A#*.}", "tar.gz"),
        ("${A##*.}", "gz"),
        ("${A%.*}", "foo.tar"),
        ("${A%%.*}", "foo"),
        ("${A#nope}", "foo.tar.gz"),
        ("${A#f?o}", ".tar.gz"),
        ("${STAR#a\\*}", "b*c"),
        ("${STAR%\\**}", "a*b"),
        ("${A/o/0}", "f0o.tar.gz"),
        ("${A//o/0}", "f00.tar.gz"),
        ("${P//\\//-}", "-usr-local-bin"),
        ("${A/.*/}", "foo"),
        ("${NOPE/a/b}", ""),
        ("$1", ""),
        ("<<EOF", "<<EOF"),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert Expander(ENV).word(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${", "missing '}'"),
        ("${A", "unsupported modifier () in substitution"),
        ("${}", "bad substitution"),
        ("${:-x}", "bad substitution"),
        ("${A:-x", "missing '}'"),
        ("${NOPE:?not there}", "NOPE: not there"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${NOPE?}", "NOPE: is not allowed to be unset"),
        ("${A:#x}", "unsupported modifier (:#)"),
        ("${A^}", "unsupported modifier (^)"),
        ("${A:^}", "unsupported modifier (:^)"),
        ("${A:}", "missing '}'"),
        ("${A/x}", "missing '/' in ${}"),
        ("${A#\\q}", "invalid escape '\\q'"),
        ("'a", "matching single-quote"),
        ('"a', "matching double-quote"),
    ],
)
def test_faults(text: str, message: str) -> None:
    with pytest.raises(Problem) as caught:
        Expander(ENV).word(text)
    if text == "${A":
        assert "missing '}'" in caught.value.message
    else:
        assert message in caught.value.message


def test_splitting_happens_after_expansion() -> None:
    assert Expander(ENV).words("$TWO '$TWO' \"$TWO\" a\\ b") == ["x", "y", "$TWO", "x y", "a b"]


def test_bodies_keep_quotes_and_labels_keep_what_is_unknown() -> None:
    assert Expander(ENV).body("'$A' \"x\" \\$A\n") == "'foo.tar.gz' \"x\" $A\n"
    assert Expander(ENV).label("echo \"$TWO\" '$A' $NOPE ${NOPE:-x}") == (
        "echo \"x y\" '$A' $NOPE ${NOPE:-x}"
    )


def test_other_escapes() -> None:
    assert Expander(ENV, "`").word("`$A C:\\x") == "$A C:\\x"


def test_what_was_asked_for_is_remembered() -> None:
    expander = Expander(ENV)
    expander.word("$A $NOPE")
    assert (expander.used, expander.unset) == ({"A"}, {"NOPE"})


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="$A{}:-+?#%/\\'\"*x `", max_size=40))
def test_anything_is_expanded_or_refused(text: str) -> None:
    for method in ("word", "words", "body", "label"):
        try:
            getattr(Expander(ENV), method)(text)
        except Problem as problem:
            assert problem.message


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(Problem, match=r"nested too deeply|missing"):
        Expander({}).word("${a:-" * 5000)


def test_go_text() -> None:
    assert gotext.quoted_list(["a", 'b"\n']) == '["a" "b\\"\\n"]'
    assert gotext.duration(90 * 10**9) == "1m30s"
    assert gotext.duration(3600 * 10**9) == "1h0m0s"
    assert gotext.duration(1_500_000) == "1.5ms"
    assert gotext.timestamp(1_700_000_000_120_000_000) == "2023-11-14T22:13:20.12Z"
