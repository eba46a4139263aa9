"""Containers for the tests of this room: a Debian tree under an overlay, started by `driver.py`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kobako.errors import KobakoError
from kobako.runtime import control, state

DRIVER = str(Path(__file__).with_name("driver.py"))


@pytest.fixture(scope="session")
def lower(debian_tar: Path) -> Iterator[str]:
    """A Debian root filesystem, all of it owned by whoever runs the tests."""
    base = tempfile.mkdtemp(prefix="kobako-lower-")
    os.chmod(base, 0o755)
    unpack = ["tar", "-C", base, "--no-same-owner", "-xf", str(debian_tar)]
    skip = ["./dev/*", "./usr/share/doc", "./usr/share/locale", "./usr/lib/python3*", "./var/cache"]
    subprocess.run([*unpack, *(f"--exclude={s}" for s in skip)], check=True)
    yield base
    subprocess.run(["chmod", "-R", "u+rwx", base], check=False)
    shutil.rmtree(base)


class Box:
    """One container's directory, and the driver run on it."""

    def __init__(self, base: str, lower: str) -> None:
        self.base = base
        self.state_dir = f"{base}/state"
        self.lower = lower

    def prepare(self, *args: str, **given: object) -> list[str]:
        """Writes the options; the command line to start with."""
        top = ("detach", "interactive", "hold_stdin", "on_exit", "announce", "foreseen")
        outer = {k: given.pop(k) for k in top if k in given}
        names = (
            "terminal env cwd uid gid groups privileged cap_add cap_drop no_new_privileges"
            " ulimits oom_score_adj size"
        )
        inner = {k: given.pop(k) for k in names.split() if k in given}
        document = {**outer, "lower": self.lower}
        document["options"] = {"process": {"args": args, **inner}, **given}
        Path(self.base, "options.json").write_text(json.dumps(document))
        return [sys.executable, DRIVER]

    def run(
        self, *args: str, stdin: str | None = None, **given: object
    ) -> subprocess.CompletedProcess[str]:
        command = [*self.prepare(*args, **given), "start", self.base]
        return subprocess.run(command, input=stdin, capture_output=True, text=True)

    def output(self, *args: str, **given: object) -> str:
        """Stdout of a run that must succeed."""
        done = self.run(*args, **given)
        assert done.returncode == 0, done
        return done.stdout

    def popen(self, *args: str, **given: object) -> subprocess.Popen[str]:
        given.setdefault("announce", True)
        command = [*self.prepare(*args, **given), "start", self.base]
        pipe = subprocess.PIPE
        child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert child.stderr is not None
        line = child.stderr.readline()
        assert line.startswith("started"), line
        return child

    def exec(
        self, *args: str, stdin: str | None = None, **given: object
    ) -> subprocess.CompletedProcess[str]:
        command = [*self.prepare(*args, **given), "exec", self.base]
        return subprocess.run(command, input=stdin, capture_output=True, text=True)

    @property
    def state(self) -> state.State:
        return state.state(self.state_dir)

    def remove(self) -> None:
        try:
            control.kill(self.state_dir, 9)
            control.wait(self.state_dir)
        except (KobakoError, OSError):
            pass
        subprocess.run([sys.executable, DRIVER, "remove", self.base], check=True)


@pytest.fixture
def box(lower: str) -> Iterator[Box]:
    base = tempfile.mkdtemp(prefix="kobako-box-")
    os.chmod(base, 0o755)
    made = Box(base, lower)
    yield made
    made.remove()
