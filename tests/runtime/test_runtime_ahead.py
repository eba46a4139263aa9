"""A container whose first process is there before it is known what that will be."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest


def run(box: Any, foreseen: str) -> subprocess.CompletedProcess[str]:
    command = box.prepare("sh", "-c", "cat; echo $$; exit 3", interactive=True, foreseen=foreseen)
    return subprocess.run(
        [*command, "ahead", box.base], input="read\n", capture_output=True, text=True, timeout=60
    )


def test_the_waiting_process_becomes_the_program(box: Any) -> None:
    done = run(box, "this")
    assert (done.stdout, done.returncode) == ("read\n1\n", 3)
    assert (box.state.status, box.state.exit_code) == ("exited", 3)


@pytest.mark.parametrize(
    ("foreseen", "code", "says"),
    [
        ("nothing", 0, ""),
        ("this, taken back", 0, ""),
        ("others", 125, "is not the one that was foreseen"),
    ],
)
def test_nothing_stays_of_a_start_that_is_not_to_be(
    box: Any, foreseen: str, code: int, says: str
) -> None:
    done = run(box, foreseen)
    pid, _, message = done.stderr.partition("\n")
    assert (done.stdout, done.returncode) == ("", code)
    assert says in message
    assert not os.path.exists(f"/proc/{int(pid)}")
