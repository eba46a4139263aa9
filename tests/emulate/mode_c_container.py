"""Containers in mode C over an unpacked Debian, without the rooms above."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


class Container:
    """Runs commands in fresh mode C containers over one Debian."""

    def __init__(self, lower: Path, base: Path) -> None:
        self.lower = lower
        self.base = base

    @property
    def upper(self) -> Path:
        return self.base / "upper"

    def run(self, *command: str, options: tuple[str, ...] = (), code: int = 0) -> str:
        """The command's output; fails unless it ends with `code`."""
        driver = [sys.executable, "-I", str(HERE / "mode_c.py"), str(self.lower), str(self.base)]
        done = subprocess.run(
            [*driver, *options, "--", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def sh(
        self, script: str, *, options: tuple[str, ...] = (), code: int = 0, user: str = ""
    ) -> str:
        """`user` as in mode_c.py's `-u`."""
        return self.run(*_as(user), "sh", "-ec", script, options=options, code=code)

    def python(self, script: str, *, options: tuple[str, ...] = (), user: str = "") -> str:
        return self.run(*_as(user), "python3", "-c", script, options=options)


def _as(user: str) -> tuple[str, ...]:
    return ("-u", user) if user else ()
