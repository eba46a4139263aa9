"""Console blocks of Markdown pages, and a terminal to type them into.

A block fenced as ```console reads as a session: `$ ` stands before a command, `> ` before its
further lines, `root@...:/# ` before what is typed inside a container, `Username: ` and `Password: `
before answers; anything else is output, `...` any number of lines of it. A password is not
shown, so a comment above the block tells it: <!-- test: "Password: " is answered with SECRET -->
"""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect

from kobako.record import Record

INSIDE = re.compile(r"root@[0-9a-f]{12}:/[^#]*# ")
_ASKED = re.compile(r"(Username|Password): ?")
_SECRET = re.compile(r'<!-- test: "Password: " is answered with (\S+) -->')
_PROMPT = re.compile(r"@(\d+)@ ")
_WAIT = 120


class Step(Record):
    """One thing typed. `prompt` is a pattern of what must be shown before, `output` what comes."""

    prompt: re.Pattern[str]
    text: str
    output: tuple[str, ...] = ()

    def more(self, line: str) -> Step:
        return self.replace(output=(*self.output, line))


def blocks(page: str, *languages: str) -> Iterator[tuple[str, str]]:
    """(text before the block since the last one, its content) of the fences of these languages."""
    for found in re.finditer(r"(.*?)^```(\w*)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        if found[2] in languages:
            yield found[1], found[3]


def steps(page: str) -> list[Step]:
    """All that a page has its reader type, in order."""
    return [step for before, text in blocks(page, "console") for step in _session(before, text)]


def commands(page: str) -> list[str]:
    return [step.text for step in steps(page)]


def _session(before: str, text: str) -> list[Step]:
    secret = _SECRET.search(before)
    found: list[Step] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(Step(_PROMPT, line[2:]))
        elif line.startswith("> ") or line == ">":
            last = found[-1]
            assert not last.output, f"{line!r} continues nothing"
            found[-1] = last.replace(text=f"{last.text}\n{line[2:]}")
        elif inside := INSIDE.match(line):
            found.append(Step(INSIDE, line[inside.end() :]))
        elif asked := _ASKED.match(line):
            answer = line[asked.end() :] or (secret[1] if secret else "")
            found.append(Step(re.compile(rf"{asked[1]}[^\n]*: "), answer))
        else:
            found[-1] = found[-1].more(line)
    return found


class Terminal:
    """A bash in a terminal of its own, with a home and stores of its own; a context manager."""

    def __init__(self, directory: Path, **more: str) -> None:
        """`more` are variables of its environment."""
        home = directory / "home"
        home.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        environ = {
            "HOME": str(home),
            "KOBAKO_ROOT": str(directory / "root"),
            "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
            "PS1": "@$?@ ",
            "PS2": "",
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            **more,
        }
        words = ["--norc", "--noprofile", "--noediting"]
        self.bash = pexpect.spawn(
            "/bin/bash", words, env=environ, cwd=directory, echo=False, encoding="utf-8",
            dimensions=(40, 200), timeout=_WAIT,
        )  # fmt: skip

    def play(self, steps: list[Step]) -> None:
        """Type every step and compare what comes with what the page shows."""
        for number, step in enumerate(steps):
            shown = self._await(step.prompt, "" if number == 0 else steps[number - 1].text)
            if number:
                check(steps[number - 1], shown)
            # The page's registry has the default port, which may be taken on this machine.
            self.bash.sendline(step.text.replace("127.0.0.1:5000", f"127.0.0.1:{self.port}"))
            if "hub serve" in step.text:
                self._await_port()
        check(steps[-1], self._await(_PROMPT, steps[-1].text))

    def reset(self) -> None:
        """For pages that leave their store to the reader: it is deleted, and bash ends."""
        self.bash.sendline("kobako system reset --force; exit")
        self.bash.expect_exact("exit")
        self.bash.wait()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *fault: object) -> None:
        self.bash.close(force=True)

    def _await(self, prompt: re.Pattern[str], command: str) -> str:
        try:
            self.bash.expect(prompt)
        except (pexpect.TIMEOUT, pexpect.EOF):
            raise AssertionError(
                f"{command!r}: no {prompt.pattern!r} in {self.bash.before!r}"
            ) from None
        assert prompt is not _PROMPT or self.bash.match[1] == "0", (
            f"{command!r} ended with exit code {self.bash.match[1]}: {self.bash.before}"
        )
        return str(self.bash.before)

    def _await_port(self) -> None:
        for _ in range(_WAIT * 20):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.05)
        raise AssertionError("the registry does not answer")


def check(step: Step, shown: str) -> None:
    """`shown` is what the page says, but for ids, times and sizes."""
    text = re.sub(r"\x1b\[\d*B", "\n", shown)  # down to below a progress line: a new line
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n")
    check_columns(text.splitlines())
    lines = [normal(line) for line in text.splitlines()]
    # What bash says of its jobs, and a terminal that echoes in the container.
    lines = [line for line in lines if line and not line.startswith("[1]") and line != step.text]
    expected = [normal(line) for line in step.output]
    pattern = "".join(r"(?:.*\n)*" if e == "..." else re.escape(e) + r"\n" for e in expected if e)
    told = "".join(f"{line}\n" for line in lines)
    assert re.fullmatch(pattern, told), (
        f"{step.text}\n--- the page\n{step.output}\n--- here\n{told}"
    )


def check_columns(lines: list[str]) -> None:
    """Below a table's heads every cell begins where its head does, or is empty."""
    starts: list[int] = []
    for line in lines:
        heads = list(re.finditer(r"\S+(?: \S+)*", line))
        if (
            len(heads) > 2
            and "\t" not in line
            and all(head[0].replace(" ", "").isupper() for head in heads)
        ):
            starts = [head.start() for head in heads]
        elif not line:
            starts = []
        for start, end in zip(starts, [*starts[1:], len(line)], strict=bool(starts)):
            cell = line[start:end]
            assert line[:start].endswith(" ") or not start, f"{line!r}: column {start}"
            assert not cell.startswith(" ") or not cell.strip(), f"{line!r}: column {start}"


def normal(line: str) -> str:
    """A line without what is another each time."""
    line = re.sub(r"\b[0-9a-f]{64}\b", "<digest>", line)
    line = re.sub(r"\b[0-9a-f]{12}\b", "<id>", line)
    line = re.sub(r"(\d+ \w+|About an? \w+|Less than a second) ago", "<ago>", line)
    line = re.sub(r"\b\d+(\.\d+)?[kMG]?B\b", "<size>", line)
    line = re.sub(r"\bsize: \d+", "size: <size>", line)
    return " ".join(line.split())
