"""docs/bake.md is one session, typed into a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from console import Terminal, steps

PAGE = (Path(__file__).parents[2] / "docs/bake.md").read_text()


@pytest.mark.timeout(300)
def test_the_page_as_typed(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    try:
        terminal.play(steps(PAGE))
        terminal.bash.sendline("kobako system reset --force; exit")
        terminal.bash.expect_exact("exit")
        terminal.bash.wait()
    finally:
        terminal.close()
