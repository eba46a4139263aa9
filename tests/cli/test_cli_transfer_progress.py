"""Pulls and pushes in terminals of several sizes: what is seen in the end."""

from __future__ import annotations

import sys

import pexpect
import pyte
import pytest

SCRIPT = """
from kobako.cli.transfer_progress import Progress
from kobako.events import LayerProgress, Status
layers = [f"{number:012x}" for number in range(%d)]
total = 123456789
with Progress() as progress:
    progress(Status("1: Pulling from big"))
    for layer in layers:
        progress(LayerProgress(layer, "Pulling fs layer"))
    for current in (0, total // 2, total):
        for layer in layers:
            progress.painted = 0
            progress(LayerProgress(layer, "Downloading", current, total))
    for layer in reversed(layers):
        progress(LayerProgress(layer, "Pull complete"))
    progress(Status("Digest: of it all"))
"""


def shown(layers: int, rows: int, columns: int) -> list[str]:
    """The screen after `layers` layers were pulled."""
    screen = pyte.Screen(columns, rows)
    child = pexpect.spawn(
        sys.executable, ["-c", SCRIPT % layers], dimensions=(rows, columns), timeout=30
    )
    pyte.ByteStream(screen).feed(child.read())
    return [line.rstrip() for line in screen.display if line.strip()]


@pytest.mark.parametrize("columns", [20, 30, 80, 111, 200])
def test_each_layer_keeps_its_line(columns: int) -> None:
    done = [f"{number:012x}: Pull complete"[: columns - 1].rstrip() for number in range(3)]
    lines = shown(3, 24, columns)
    assert lines == ["1: Pulling from big", *done, "Digest: of it all"]


def test_what_has_scrolled_away_is_left_alone() -> None:
    lines = shown(40, 10, 80)
    done = [f"{number:012x}: Pull complete" for number in range(32, 40)]
    assert lines == [*done, "Digest: of it all"]
