"""How ps writes times, terminals and ages."""

from __future__ import annotations

import os
import time

from kobako.engine import processes


def test_times_of_day() -> None:
    now = time.mktime((2026, 11, 28, 12, 0, 0, 0, 0, -1))
    assert processes._start(now - 3600, now) == "11:00"
    assert processes._start(now - 86400, now) == "Nov27"
    assert processes._start(now - 366 * 86400, now) == "2025"


def test_processor_time() -> None:
    assert processes._clock(0) == "00:00:00"
    assert processes._clock(3 * 3600 + 62) == "03:01:02"
    assert processes._clock(2 * 86400 + 1) == "2-00:00:01"


def test_terminals() -> None:
    assert processes._terminal(os.makedev(136, 7)) == "pts/7"
    assert processes._terminal(os.makedev(137, 1)) == "pts/257"
    assert processes._terminal(os.makedev(4, 1)) == "tty1"
    assert processes._terminal(os.makedev(4, 64)) == "ttyS0"
    assert processes._terminal(0) == "?"


def test_rows_of_threads_follow_their_process() -> None:
    text = "USER PID CMD\nroot 1 a b\nroot - x\nroot 2 c\nroot - y\n"
    assert processes._chosen(text, frozenset([1])) == [
        ["USER", "PID", "CMD"],
        ["root", "1", "a b"],
        ["root", "-", "x"],
    ]
