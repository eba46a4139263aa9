"""docs/jobs.md: its session is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from console import Terminal, steps

PAGE = (Path(__file__).parents[2] / "docs/jobs.md").read_text()


@pytest.mark.timeout(300)
def test_the_session_as_typed(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.play(steps(PAGE))
        terminal.reset()
