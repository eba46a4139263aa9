"""Calls are answered by a lookout until a supervisor can take over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from kobako.linux.channel import Channel
from kobako.runtime.bundle import Interception
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
