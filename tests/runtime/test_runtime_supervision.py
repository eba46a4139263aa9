"""Calls are answered by a lookout until a supervisor can take over."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock, patch

import pytest

from kobako.linux.channel import Channel
from kobako.runtime.bundle import Interception
from kobako.runtime.monitor import Monitor
from kobako.runtime.supervision import Supervision


class Asker:
    """Who asks through a pipe: what a supervisor alone can answer is a capital letter."""

    def __init__(self) -> None:
        self.read, self.write = os.pipe()
        self.log = ""

    @property
    def descriptors(self) -> list[int]:
        return [self.read]

    def ask(self, what: str) -> None:
        os.write(self.write, what.encode())

    def take(self, listener_fd: int) -> None:
        raise AssertionError

    def answer(self, fd: int) -> bool:
        asked = os.read(fd, 1).decode()
        self.log += asked
        return asked.islower()

    def refuse(self) -> None:
        self.log += "!"

    def close(self) -> None:
        self.log += "."
        os.close(self.read)


@pytest.fixture
def asker() -> Iterator[Asker]:
    asker = Asker()
    yield asker
    os.close(asker.write)


def supervision(asker: Asker) -> Supervision:
    def complain(fault: BaseException) -> None:
        raise AssertionError from fault

    intercept = Interception(b"program", lambda listener, pid, lookout: None, (), lambda pid: asker)
    return Supervision(intercept, os.getpid(), complain, at_once=False)


def test_calls_are_answered_while_a_message_is_awaited(asker: Asker) -> None:
    one = supervision(asker)
    ours, theirs = Channel.pair()
    asker.ask("abC")
    theirs.send(b"ready")
    assert one.next_of(ours)[0] == b"ready"
    assert asker.log in ("", "a", "ab", "abC.")
    while one.watched:
        one.serve(asker.read)
    assert asker.log == "abC."
    assert one.pid > 0 and one.served >= 0
    for channel in (one, ours, theirs):
        channel.close()


def test_without_a_further_process_who_asks_is_refused_and_may_ask_again(asker: Asker) -> None:
    one = supervision(asker)
    with patch("os.fork", side_effect=BlockingIOError):
        asker.ask("AbA")
        assert [one.serve(asker.read) for _ in "AbA"] == [False] * 3
        assert not one.hand_over()
    assert (asker.log, one.pid, one.served) == ("A!bA!!", 0, -1)
    assert one.watched == [asker.read]
    asker.ask("A")
    assert one.serve(asker.read)
    assert asker.log == "A!bA!!A." and not one.watched
    one.close()


def test_somebody_comes_in_when_nobody_is_left_who_could_ask(asker: Asker) -> None:
    """As a health check does just when the container ends."""
    left, gone = os.pipe()
    os.close(gone)
    with subprocess.Popen(["sleep", "100"]) as child:

        def serve(fd: int) -> bool:
            child.kill()
            return fd == asker.read

        watched = [left, asker.read]
        monitor = Monitor(child.pid, os.pidfd_open(child.pid), -1, -1, -1, {})
        monitor.supervision = Mock(watched=watched, serve=serve, pid=7, served=-1)
        asker.ask("A")
        assert monitor.watch()
        assert monitor.serve_pid == 7
    for fd in (left, monitor.pidfd):
        os.close(fd)


def test_a_supervisor_is_waited_for_that_came_before_the_client_attended(box: Any) -> None:
    """Else what the container leaves is removed while the supervisor writes down whose it is."""
    command = [*box.prepare("mkdir", "/made"), "supervised", box.base]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)
