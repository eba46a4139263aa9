"""RFC 9110 section 14: which stretch of a content a Range header asks for."""

from __future__ import annotations

import pytest

from kobako.http import RangeNotSatisfiable, parse_range


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        ("bytes=0-4", (0, 5)), ("bytes=0-0", (0, 1)), ("bytes=9-", (9, 1)), ("bytes=5-99", (5, 5)),
        ("bytes=-3", (7, 3)), ("bytes=-99", (0, 10)), ("BYTES = 1 - 2", (1, 2)),
        ("bytes=9-" + "9" * 30, (9, 1)),
        # not valid, or more than one: the whole content
        ("", None), ("bytes", None), ("lines=0-4", None), ("bytes=0-1,3-4", None),
        ("bytes=4-3", None), ("bytes=-", None), ("bytes=a-b", None), ("bytes=1-b", None),
        ("bytes=\u0661-2", None), ("bytes=+1-2", None), ("bytes=3", None),
    ],
)  # fmt: skip
def test_ranges(header: str, asked: tuple[int, int] | None) -> None:
    assert parse_range(header, 10) == asked


@pytest.mark.parametrize(
    "header", ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=" + "9" * 30 + "-"]
)
def test_what_lies_outside_cannot_be_given(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, 10)


def test_nothing_can_be_given_of_an_empty_content() -> None:
    for header in ("bytes=0-", "bytes=-1"):
        with pytest.raises(RangeNotSatisfiable):
            parse_range(header, 0)
