"""What a person sees of a build that fails."""

from __future__ import annotations

import pytest
from e2e_command import Kobako

DOCKERFILE = b"""\
FROM python
RUN true
RUN for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do \\
      echo line-$n; done; \\
    echo broken >&2; exit 3
CMD never
"""


@pytest.mark.parametrize("style", ["classic", "plain", "quiet"])
def test_the_line_the_output_and_the_code(kobako: Kobako, style: str) -> None:
    failed = kobako.fails("build", "--progress", style, "-", data=DOCKERFILE)
    said = f"{failed.out}\n{failed.err}\n"
    assert "exit code: 3" in failed.err
    assert "   3 | >>> RUN for n in" in failed.err and "   5 | >>>     echo broken" in failed.err
    assert "broken\n" in said and "line-25\n" in said
    if style == "quiet":
        assert "line-6\n" not in said and "line-7\n" in said  # the last twenty lines


def test_a_terminal_that_is_said_to_know_only_ascii(kobako: Kobako) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    shown = kobako.attempt(
        "build", "-", data="FROM scratch\nENV A=\u96ea\n".encode(), env={**kobako.environ, **plain}
    )
    assert shown.code == 0 and "ENV A=\u96ea" in shown.out
