"""The command as these tests use it: also in a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable

import pexpect

from kobako_command import PROGRAM, Command, Result


class Terminal(pexpect.spawn):  # type: ignore[type-arg]  # at run time it takes none
    """That the last writer has gone may be told before what it wrote last has come through (the
    kernel looks for the one after the other); who asks again gets it."""

    def read_nonblocking(self, size: int = 1, timeout: float | None = -1) -> str:
        try:
            return super().read_nonblocking(size, timeout)
        except pexpect.EOF:
            return super().read_nonblocking(size, timeout)


class Kobako(Command):
    def check(self, result: Result) -> None:
        """No traceback ever, but for the programs of a container."""
        whose = "python" in result.words
        assert "Traceback (most recent call last)" not in result.err or whose, result
        assert "internal error" not in result.err, result

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
        return Terminal(
            PROGRAM[0],
            [*PROGRAM[1:], *words],
            env=self.environ,  # type: ignore[arg-type]  # the stubs want os._Environ
            encoding="utf-8",
            timeout=30,
            dimensions=size,
        )


def eventually(condition: Callable[[], object], what: str = "", patience: float = 30) -> None:
    """Wait until `condition()` holds; the bound only ends what would hang."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"never came true: {what or condition}"
        time.sleep(0.02)
