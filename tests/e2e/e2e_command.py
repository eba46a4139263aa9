"""The `kobako` command as a user of docker types it: words in; exit code, output and errors out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pexpect

PROGRAM = (sys.executable, "-m", "kobako")


class Result:
    """How a command ended. `out` and `err` are texts without the last newline, `raw` all bytes."""

    def __init__(self, words: tuple[str, ...], code: int, out: bytes, err: bytes) -> None:
        self.words, self.code, self.raw = words, code, out
        self.out = out.decode("utf-8", "replace").removesuffix("\n")
        self.err = err.decode("utf-8", "replace").removesuffix("\n")

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def __repr__(self) -> str:
        return (
            f"kobako {' '.join(self.words)} -> {self.code}\n{self.out[-3000:]}\n{self.err[-3000:]}"
        )


class Kobako:
    """The command on one data root, with a home of its own."""

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

    def at(self, root: Path, home: Path | None = None) -> Kobako:
        """The same user with another store."""
        return Kobako(root, home or self.home)

    def popen(self, *words: str, **options: object) -> subprocess.Popen[bytes]:
        """The command under way, its streams piped unless `options` (Popen's) say otherwise."""
        settings: dict[str, object] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": self.environ,
            **options,
        }
        return subprocess.Popen([*PROGRAM, *words], **settings)  # type: ignore[call-overload,no-any-return]  # the options are the caller's

    def attempt(
        self, *words: str, data: bytes | None = None, timeout: float = 100, **options: object
    ) -> Result:
        """Run it to its end, however that is. No traceback ever."""
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
        assert "Traceback (most recent call last)" not in result.err or "python" in words, result
        assert "internal error" not in result.err, result
        return result

    def __call__(self, *words: str, **options: object) -> Result:
        """Run it; it must succeed."""
        result = self.attempt(*words, **options)  # type: ignore[arg-type]  # Popen's options
        assert result.code == 0, result
        return result

    def fails(self, *words: str, code: int = 1, says: str = "", **options: object) -> Result:
        """Run it; it must end with `code` and have `says` among its errors."""
        result = self.attempt(*words, **options)  # type: ignore[arg-type]  # Popen's options
        assert result.code == code, result
        assert says in result.err, result
        return result

    def sh(self, script: str, *flags: str, **options: object) -> Result:
        """A shell script in a container of `python` with no network."""
        words = ("run", "--rm", "--network", "none", *flags, "python", "sh", "-c", script)
        return self(*words, **options)

    def spawn(self, *words: str, size: tuple[int, int] = (24, 80)) -> pexpect.spawn[str]:
        """The command in a terminal of `size` rows and columns."""
        return pexpect.spawn(
            PROGRAM[0],
            [*PROGRAM[1:], *words],
            env=self.environ,  # type: ignore[arg-type]  # the stubs want os._Environ
            encoding="utf-8",
            timeout=30,
            dimensions=size,
        )

    def show(self, template: str, name: str) -> str:
        return self("inspect", "-f", template, name).out


def eventually(condition: Callable[[], object], what: str = "", patience: float = 30) -> None:
    """Wait until `condition()` holds; the bound only ends what would hang."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"never came true: {what or condition}"
        time.sleep(0.02)
