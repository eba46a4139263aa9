"""Start-up is a feature: what no short verb may import (docs/architecture.md)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_command import Kobako

from kobako import startup

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


def test_the_shortest_verbs_do_not_open_the_database(kobako: Kobako, name: str) -> None:
    kobako("run", "-d", "--name", name, "python", "sleep", "100")
    for words in (["run", "--rm", "python", "true"], ["exec", name, "true"], ["ps"]):
        command = [sys.executable, "-X", "importtime", "-c", SCRIPT, *words]
        assert "_sqlite3" not in imported(command, kobako.environ), words


def test_a_cached_build(kobako: Kobako, context: Path) -> None:
    words = ["build", "-t", "startup", str(context)]
    kobako(*words)
    check(kobako, words)


def test_a_small_commit(kobako: Kobako, name: str) -> None:
    """Neither threads nor libcrypto nor ISA-L for a layer of a few bytes."""
    kobako("run", "--name", name, "python", "sh", "-c", "echo hello > /hello")
    check(kobako, ["commit", name, "startup-commit"])


def test_the_monitor_and_what_it_forks() -> None:
    """Nobody sees the standard error of these processes, so they are imported here."""
    modules = (
        "kobako.runtime.standby, kobako.runtime.init, kobako.runtime.launch,"
        " kobako.runtime.supervision, kobako.emulate.lookout, kobako.emulate.looks,"
        " kobako.emulate.program, kobako.emulate.supervisor"
    )
    command = [sys.executable, "-X", "importtime", "-c", f"import {modules}"]
    own = imported(command, dict(os.environ)) - imported(BARE, dict(os.environ))
    assert "kobako.emulate.supervisor" in own
    assert not own & FORBIDDEN


SCRIPT = "from kobako import groups; groups.begin()\nfrom kobako.__main__ import main; main()"


def check(kobako: Kobako, words: list[str]) -> None:
    # As the installed script does it: `-m` imports a dozen modules of its own.
    command = [sys.executable, "-X", "importtime", "-c", SCRIPT, *words]
    imported(command, kobako.environ)  # which may have to make the files of groups
    found = imported(command, kobako.environ)
    assert "kobako.groups" in found
    own = found - imported(BARE, kobako.environ)
    assert not own & FORBIDDEN


GROUPED = {"run": "run --rm python true", "ps": "ps -a", "images": "images python"}
"""A typical call of a verb that has a group of modules of its own."""


def grouped(*groups: str) -> set[str]:
    return {"kobako." + name for group in groups for name in startup.GROUPS[group].split()}


def asked_for(kobako: Kobako, words: list[str]) -> set[str]:
    """The modules of kobako that a verb imports where it asks for them, groups being left out."""
    script = "from kobako import groups; groups._load = lambda group: ()\n" + SCRIPT
    found = imported([sys.executable, "-X", "importtime", "-c", script, *words], kobako.environ)
    return {n for n in found if n.startswith("kobako.")} - {"kobako.groups"}


def some_modes_only() -> set[str]:
    """What stands in for root, where that is needed."""
    names = {"kobako.engine.bundles", "kobako.linux.userns", "kobako.linux.ownership"}
    names |= {"kobako.linux.bpf", "kobako.linux.fork", "kobako.linux.notify"}
    names |= {"kobako.linux.syscalls", "kobako.runtime.supervision"}
    names |= {"kobako.snapshot.merge"}
    room = Path(startup.__file__).parent / "emulate"
    return names | {"kobako.emulate"} | {f"kobako.emulate.{path.stem}" for path in room.iterdir()}


@pytest.mark.parametrize("verb", GROUPED)
def test_the_group_of_a_verb_is_what_it_imports(kobako: Kobako, name: str, verb: str) -> None:
    kobako("run", "--name", name, "python", "true")
    found = asked_for(kobako, GROUPED[verb].split())
    listed = grouped("every", verb)
    if verb == "run":
        listed |= grouped("first", "monitor", "run-create", "run-end")
        found -= some_modes_only()
    if verb == "images":
        # An image of several platforms may be in the store.
        found -= {"kobako.engine.images", "kobako.engine.image_platforms"} - listed
    assert found == listed


def test_the_group_of_exec_is_what_it_imports(kobako: Kobako, name: str) -> None:
    kobako("run", "-d", "--name", name, "python", "sleep", "100")
    found = asked_for(kobako, ["exec", name, "true"])
    assert found - some_modes_only() == grouped("every", "exec", "exec-end")


def test_the_group_of_commit_is_what_a_small_one_imports(kobako: Kobako, name: str) -> None:
    kobako("run", "--name", name, "python", "sh", "-c", "echo hello > /hello")
    found = asked_for(kobako, ["commit", name, "startup-commit"])
    listed = grouped("every", "commit")
    some = some_modes_only() | {"kobako.linux.caps"}
    assert found - some == listed - some


def test_the_group_of_build_is_what_a_cached_one_imports(kobako: Kobako, context: Path) -> None:
    words = ["build", "-t", "startup", str(context)]
    kobako(*words)
    found = asked_for(kobako, words)
    found -= some_modes_only() | {"kobako.linux.caps", "kobako.linux.mount"}
    assert found == grouped("every", "build")


def test_the_groups_of_steps_are_what_those_that_are_carried_out_import(
    kobako: Kobako, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python\nCOPY Dockerfile /dir/\nRUN true\n")
    words = ["build", "--no-cache", "-t", "startup-step", str(tmp_path)]
    kobako(*words)  # what the checks say of it is kept
    found = asked_for(kobako, words)
    found -= {"kobako.build.lower_transfer", "kobako.build.ops.transfer"}  # it has been read
    groups = ("build", "build-layer", "build-copy", "build-step")
    listed = grouped("every", *groups, "monitor")  # the first process has no stderr of ours
    assert found - some_modes_only() == listed - some_modes_only()
