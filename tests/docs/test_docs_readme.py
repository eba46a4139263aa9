"""The README's commands: the session is typed, the two that set up are what CI and users run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from console import Terminal, blocks, steps

TREE = Path(__file__).parents[2]
README = (TREE / "README.md").read_text()


@pytest.mark.timeout(300)
def test_the_session_as_typed(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.play(steps(README))
        terminal.reset()


def test_the_two_commands() -> None:
    install, test = (text.strip() for _, text in blocks(README, "sh"))
    assert install == ("python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/kobako tour")
    assert test == "tests/run"
    assert (TREE / ".ci/run").read_text().split()[-1] == test


@pytest.mark.timeout(300)
def test_the_tour(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kobako", "tour", "--directory", str(tmp_path / "tour")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "The tour went through to its end." in done.stdout
    assert not (tmp_path / "tour").exists()


def test_the_program_is_installed() -> None:
    assert shutil.which("kobako", path=str(Path(sys.executable).parent))
