"""The live tree on a real terminal: what is seen while it runs, and how it is left."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pyte
import pytest

from kobako.cli.progress.cells import width

BUILD = """
import os, sys, time
from kobako.build import progress as events
from kobako.cli.progress.tree import Tree
from kobako.events import LayerProgress

def start(number, name):
    tree.event(events.VertexStarted(number, f"vertex-{number}", name))
def out(number, data):
    tree.event(events.VertexOutput(number, f"vertex-{number}", 1, data, 0.1))
def done(number, cached=False, error=""):
    tree.event(events.VertexDone(number, f"vertex-{number}", "", 0.2, cached, error))
def until(path):
    while not os.path.exists(path):
        time.sleep(0.01)

tree = Tree(2, color=False)
tree.event(events.Planned(3))
start(1, "[base 1/2] FROM python")
done(1, cached=True)
start(2, "[base 2/2] RUN 小箱を作る")
"""


class Screen:
    """A program in a terminal, and what the terminal shows."""

    def __init__(self, script: str, directory: Path, rows: int = 24, columns: int = 80) -> None:
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.process = pexpect.spawn(
            sys.executable,
            ["-c", BUILD + script],
            cwd=str(directory),
            env={**os.environ, "TERM": "xterm", "LANG": "C.UTF-8"},  # type: ignore[arg-type]  # as os.environ
            dimensions=(rows, columns),
            timeout=30,
        )
        self.raw = b""

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def until(self, text: str) -> list[str]:
        """Read on until `text` is on the screen."""
        while not any(text in line for line in self.lines):
            self.read()
        return self.lines

    def read(self) -> None:
        """What the program has written since."""
        data = self.process.read_nonblocking(4096, 30)
        self.raw += data
        self.stream.feed(data)

    def end(self) -> list[str]:
        """Read until nobody has the terminal any more, the painter included.

        Twice: that the last one has closed it may be told before the last that was written has
        come through (the kernel looks for the one after the other); by the second time it has.
        """
        for _ in range(2):
            while True:
                try:
                    data = os.read(self.process.child_fd, 4096)
                except OSError:
                    break
                self.raw += data
                self.stream.feed(data)
        self.process.wait()
        return self.lines

    def resize(self, rows: int, columns: int) -> None:
        self.process.setwinsize(rows, columns)
        self.screen.resize(rows, columns)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[object]:
    screens: list[Screen] = []

    def start(script: str, rows: int = 24, columns: int = 80) -> Screen:
        screens.append(Screen(script, tmp_path, rows, columns))
        return screens[-1]

    yield start
    for screen in screens:
        screen.process.close(force=True)


def test_steps_windows_bars_and_the_last_frame(play, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # a factory
    screen = play(
        r"""
out(2, b"first\n" + "行".encode() + b"\x1b[2J\x1b[31mhello\x1b[0m\x1b]0;x\x07\n")
start(3, "[two 1/1] COPY")
tree.event(LayerProgress("0123456789ab", "Downloading", 500, 1000))
until("go")
done(2); done(3)
tree.finished("sha256:" + "a" * 64, ("name:latest",))
tree.close()
print("after")
"""
    )
    lines = screen.until("hello")
    assert lines[0].startswith("[+] Building ") and lines[0].endswith("(1/3)")
    assert lines[1].startswith(" => CACHED [base 1/2] FROM python ") and lines[1].endswith("0.2s")
    assert lines[2].startswith(" => [base 2/2] RUN 小箱を作る ")
    assert lines[3] == " => => # hello"
    assert screen.screen.cursor.hidden
    assert any("[==========>         ] 500B / 1.00kB" in line for line in screen.until("500B"))
    (tmp_path / "go").touch()
    lines = screen.end()
    assert lines[0].endswith("(4/4) FINISHED") and lines[-1] == "after"
    assert not any("hello" in line for line in lines)
    assert lines[-2].startswith(" => => naming to docker.io/library/name:latest")
    assert not screen.screen.cursor.hidden and screen.process.exitstatus == 0
    assert b"\x1b]0;" not in screen.raw and b"\x1b[2J" not in screen.raw


def test_the_log_of_a_failed_step_is_left(play) -> None:  # type: ignore[no-untyped-def]
    screen = play(
        r"""
start(3, "[two 1/1] RUN sleep")
out(2, b"\x1b[1mone\x1b[0m\r\n10%\r100%\ntwo")
done(2, error="exit code: 1")
tree.close()
"""
    )
    lines = screen.end()
    at = lines.index("------")
    assert lines[at:] == ["------", " > [base 2/2] RUN 小箱を作る:", "one", "100%", "two", "------"]
    assert lines[2].startswith(" => ERROR [base 2/2]")
    assert lines[3].startswith(" => CANCELED [two 1/1]")
    assert not screen.screen.cursor.hidden and b"[1mone" not in screen.raw


@pytest.mark.parametrize("how", ["interrupt", "terminate", "kill"])
def test_the_cursor_comes_back(play, how: str) -> None:  # type: ignore[no-untyped-def]
    screen = play(
        """
try:
    until("never")
except KeyboardInterrupt:
    pass
finally:
    tree.close()
"""
    )
    screen.until("[base 2/2]")
    assert screen.screen.cursor.hidden
    if how == "interrupt":
        screen.process.sendintr()
    else:
        os.kill(screen.process.pid, signal.SIGTERM if how == "terminate" else signal.SIGKILL)
    lines = screen.end()
    assert not screen.screen.cursor.hidden, screen.raw
    assert any(line.startswith(" => CANCELED [base 2/2]") for line in lines), screen.raw


def test_a_resize_leaves_no_rubbish(play, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    screen = play(
        """
for n in range(3, 9):
    start(n, f"step {n} " + "long " * 20)
until("go")
for n in range(2, 9):
    done(n)
tree.close()
""",
        columns=100,
    )
    screen.until("step 8")
    screen.resize(12, 40)
    (tmp_path / "go").touch()
    lines = screen.end()
    assert all(width(line) <= 40 for line in lines)
    assert sum("step 8" in line for line in lines) == 1
    assert not screen.screen.cursor.hidden


def test_output_without_end_is_bounded_and_does_not_hold_the_build(play, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """The terminal is not read at all while 40 MB come: the build goes on, its memory stays."""
    screen = play(
        """
import resource
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for n in range(4000):
    out(2, b"x" * 10_000)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
open("through", "w").write(str(grown))
until("go")
done(2)
tree.close()
"""
    )
    while not (tmp_path / "through").exists() or not (tmp_path / "through").read_text():
        assert screen.process.isalive()
    assert int((tmp_path / "through").read_text()) < 20_000
    (tmp_path / "go").touch()
    assert screen.end()[0].startswith("[+] Building")


def test_a_terminal_that_goes_away_ends_nothing(tmp_path: Path) -> None:
    screen = Screen(
        """
import signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
start(3, "prepared")
until("go")
for n in range(100):
    out(2, b"line")
tree.close()
open("through", "w").close()
""",
        tmp_path,
    )
    screen.until("prepared")
    pid = screen.process.pid
    screen.process.ptyproc.fileobj.close()
    (tmp_path / "go").touch()
    _, status = os.waitpid(pid, 0)
    assert status == 0 and (tmp_path / "through").exists()
    screen.process.terminated = screen.process.ptyproc.terminated = True
    screen.process.closed = screen.process.ptyproc.closed = True


def test_a_stopped_build_leaves_the_cursor_and_goes_on_below(play, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    screen = play('until("go"); done(2); tree.close()')
    screen.until("[base 2/2]")
    pid = screen.process.pid
    painter = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
    os.kill(painter, signal.SIGTSTP)
    while screen.screen.cursor.hidden:
        screen.read()
    while Path(f"/proc/{painter}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert screen.process.isalive()
    os.kill(painter, signal.SIGCONT)
    (tmp_path / "go").touch()
    lines = screen.end()
    assert sum("[base 2/2]" in line for line in lines) == 2
    assert not screen.screen.cursor.hidden
