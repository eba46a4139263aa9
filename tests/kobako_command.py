"""The `kobako` command as a user of docker types it: words in; exit code, output and errors out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Self

PROGRAM = (sys.executable, str(Path(sys.executable).with_name("kobako")))
"""The script that is installed, as users call it: a third quicker than `python -m kobako`."""


class Result:
    """How a command ended. `out` and `err` are texts without the last newline, `raw` all bytes."""

    def __init__(self, words: tuple[str, ...], code: int, out: bytes, err: bytes) -> None:
        self.words, self.code, self.raw = words, code, out
        self.out = out.decode("utf-8", "replace").removesuffix("\n")
        self.err = err.decode("utf-8", "replace").removesuffix("\n")

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def said(self) -> str:
        """What it wrote to either stream."""
        return f"{self.out}\n{self.err}"

    def __repr__(self) -> str:
        return (
            f"kobako {' '.join(self.words)} -> {self.code}\n{self.out[-3000:]}\n{self.err[-3000:]}"
        )


class Command:
    """The command on one data root, with a home of its own; `check` says how it may end."""

    program: tuple[str, ...] = PROGRAM

    def __init__(self, root: Path, home: Path) -> None:
        self.root, self.home = root, home
        home.mkdir(parents=True, exist_ok=True)
        self.environ = {
            "HOME": str(home),
            "KOBAKO_ROOT": str(root),
            "KOBAKO_CONFIG": str(home / "config.toml"),
            "DOCKER_CONFIG": str(home / "docker"),
            "PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
            "TERM": "xterm",
        }
        if "PYTHONPATH" in os.environ:
            self.environ["PYTHONPATH"] = os.environ["PYTHONPATH"]

    def check(self, result: Result) -> None:
        raise NotImplementedError

    def at(self, root: Path, home: Path | None = None) -> Self:
        """The same user with another store."""
        return type(self)(root, home or self.home)

    def popen(self, *words: str, **options: object) -> subprocess.Popen[bytes]:
        """The command under way, its streams piped unless `options` (Popen's) say otherwise."""
        settings: dict[str, object] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": self.environ,
            **options,
        }
        return subprocess.Popen([*self.program, *words], **settings)  # type: ignore[call-overload,no-any-return]  # the options are the caller's

    def attempt(
        self, *words: str, data: bytes | None = None, timeout: float = 120, **options: object
    ) -> Result:
        """Run it to its end, however that is."""
        if data is not None:
            options["stdin"] = subprocess.PIPE
        with self.popen(*words, **options) as process:
            try:
                out, err = process.communicate(data, timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                raise AssertionError(f"kobako {words} hangs\n{out!r}\n{err!r}") from None
        result = Result(words, process.returncode, out or b"", err or b"")
        self.check(result)
        return result

    def __call__(self, *words: str, **options: object) -> Result:
        """Run it; it must succeed."""
        result = self.attempt(*words, **options)  # type: ignore[arg-type]  # Popen's options
        assert result.code == 0, result
        return result

    def show(self, template: str, name: str) -> str:
        return self("inspect", "-f", template, name).out
