"""Thousands of inputs gone wrong, in bounded memory: a message each, and nothing out of place.

KOBAKO_TEST_FULL=1 makes it the 10,000 of each kind that the project promises.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from torture_command import FULL

SCRIPT = str(Path(__file__).with_name("torture_mutations.py"))
FRONT_END = str(Path(__file__).parents[1] / "build" / "test_build_front_end_fuzz.py")
COUNT = 10_000 if FULL else 300
MEMORY = 1 << 30
"""Address space: the interpreter, its libraries and the stacks of threads are most of it."""


def run_bounded(*words: str) -> str:
    """What a Python prints that gets no more than MEMORY."""
    # A suite of its own has no other identity beside it.
    environ = {k: v for k, v in os.environ.items() if k != "KOBAKO_TEST_BESIDE"}
    process = subprocess.Popen(
        [sys.executable, *words], env=environ,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.read()
    process.stdout.close()
    assert process.wait() == 0, said[-8000:]
    return said


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["tarballs", "manifests"])
def test_mutated(tmp_path: Path, kind: str) -> None:
    cage = tmp_path / "around" / "cage"
    cage.mkdir(parents=True)
    ends = json.loads(run_bounded(SCRIPT, kind, str(COUNT), str(cage)).splitlines()[-1])
    assert sum(ends.values()) == COUNT
    assert ends["good"] > COUNT // 50 and ends["Invalid"] > COUNT // 50, ends
    assert (cage / "victim").read_text() == "whole"
    assert os.listdir(tmp_path) == ["around"] and os.listdir(tmp_path / "around") == ["cage"]
    assert set(os.listdir(cage)) == {"victim", {"tarballs": "t", "manifests": "store"}[kind]}
    if kind == "tarballs":
        assert {int(name) for name in os.listdir(cage / "t")} <= set(range(20))
        subprocess.run(["chmod", "-R", "u+rwx", str(cage)], check=False)


@pytest.mark.timeout(900)
def test_mutated_dockerfiles(tmp_path: Path) -> None:
    """What the front end's own test does with its 10,000, here in bounded memory."""
    which = "test_mutated" if FULL else "test_mutated[0]"
    own = f"--basetemp={tmp_path / 'own'}"  # the directory all runs of a user share is not for two
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", own, f"{FRONT_END}::{which}")
    said = run_bounded(*words)
    assert f"{10 if FULL else 1} passed" in said, said
