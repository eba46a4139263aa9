"""Start-up is a feature: what no short verb may import (docs/architecture.md)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_command import Kobako

FORBIDDEN = frozenset(
    "argparse array asyncio collections concurrent.futures contextlib dataclasses email enum "
    "functools hashlib http http.client inspect isal json kobako.bake logging multiprocessing "
    "operator pathlib re selectors shutil socket sqlite3 ssl subprocess tempfile threading typing "
    "urllib3 yaml".split()
)
# What an interpreter may import by itself at start, before a line of kobako runs.
BARE = [sys.executable, "-X", "importtime", "-c", "pass"]


def imported(words: list[str], environ: dict[str, str]) -> set[str]:
    """The modules a Python process imports, told by the interpreter itself."""
    done = subprocess.run(words, env=environ, capture_output=True, check=True, text=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM python\nENV a=b\nRUN true\n")
    return tmp_path


@pytest.mark.parametrize(
    "verb",
    [
        "run --rm python true",
        "ps -a",
        "images",
        "version",
        "--help",
    ],
)
def test_short_verbs(kobako: Kobako, verb: str) -> None:
    check(kobako, verb.split())


def test_exec(kobako: Kobako, name: str) -> None:
    kobako("run", "-d", "--name", name, "python", "sleep", "100")
    check(kobako, ["exec", name, "true"])


def test_a_cached_build(kobako: Kobako, context: Path) -> None:
    words = ["build", "-t", "startup", str(context)]
    kobako(*words)
    check(kobako, words)


def test_a_small_commit(kobako: Kobako, name: str) -> None:
    """Neither threads nor libcrypto for a layer of a few bytes."""
    kobako("run", "--name", name, "python", "sh", "-c", "echo hello > /hello")
    check(kobako, ["commit", name, "startup-commit"], needed=frozenset({"isal"}))


def test_the_monitor_and_what_it_forks() -> None:
    """Nobody sees the standard error of these processes, so they are imported here."""
    modules = "kobako.runtime.launch, kobako.emulate.program, kobako.emulate.supervisor"
    command = [sys.executable, "-X", "importtime", "-c", f"import {modules}"]
    own = imported(command, dict(os.environ)) - imported(BARE, dict(os.environ))
    assert "kobako.emulate.supervisor" in own
    assert not own & FORBIDDEN


def check(kobako: Kobako, words: list[str], needed: frozenset[str] = frozenset()) -> None:
    # As the installed script does it: `-m` imports a dozen modules of its own.
    script = "from kobako.__main__ import main; main()"
    command = [sys.executable, "-X", "importtime", "-c", script, *words]
    found = imported(command, kobako.environ)
    assert "kobako.cli.dispatch" in found
    own = found - imported(BARE, kobako.environ)
    assert not (own - needed) & FORBIDDEN
