"""A log of bounded size: what the monitor keeps, and how it is read again."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock, patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kobako.errors import NotFound
from kobako.runtime import log, state
from kobako.runtime.launcher import log_bounds
from kobako.runtime.monitor import Monitor


def keeper(directory: Path, size: int, files: int) -> Monitor:
    """A monitor of nothing, with its log in `directory`."""
    held = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    fd = os.open(directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    monitor = Monitor(0, -1, held, fd, -1, {}, log_size=size, log_files=files)
    _keepers.append(monitor)
    return monitor


_keepers: list[Monitor] = []


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    while _keepers:
        monitor = _keepers.pop()
        os.close(monitor.log)
        os.close(monitor.state)


def lines(directory: Path, **options: object) -> list[bytes]:
    return [line.data for line in log.read(str(directory), **options)]  # type: ignore[arg-type]


def test_old_files_go(place: Path) -> None:
    monitor = keeper(place, 1000, 3)
    for number in range(1000):
        monitor.keep(1, b"line %d\n" % number)
    assert sorted(os.listdir(place)) == ["log", "log.1", "log.2"]
    assert all(os.path.getsize(place / name) <= 1000 for name in os.listdir(place))
    kept = lines(place)
    first = 1000 - len(kept)
    assert kept == [b"line %d\n" % n for n in range(first, 1000)] and len(kept) > 80
    assert lines(place, tail=2) == [b"line 998\n", b"line 999\n"]


def test_one_file_begins_anew(place: Path) -> None:
    monitor = keeper(place, 100, 1)
    for number in range(100):
        monitor.keep(2, b"%d\n" % number)
    assert os.listdir(place) == ["log"]
    kept = lines(place)
    assert kept[-1] == b"99\n" and len(kept) < 10


def test_without_a_bound_there_is_one_file(place: Path) -> None:
    monitor = keeper(place, 0, 1)
    for number in range(3000):
        monitor.keep(1, b"%d\n" % number)
    assert os.listdir(place) == ["log"] and len(lines(place)) == 3000


def test_no_log(place: Path) -> None:
    monitor = Monitor(0, -1, -1, -1, -1, {}, log_files=0)
    monitor.keep(1, b"nothing\n")
    assert lines(place) == []
    with pytest.raises(NotFound, match="has no log"):
        lines(place, follow=True)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 2), st.binary(min_size=1, max_size=300)), max_size=30),
    st.integers(20, 400),
)
def test_nothing_is_lost_or_cut_while_there_are_files(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[int, bytes]], size: int
) -> None:
    place = tmp_path_factory.mktemp("log")
    monitor = keeper(place, size, 10_000)
    for stream, data in writes:
        monitor.keep(stream, data)
    read = list(log.read(str(place)))
    for stream in (1, 2):
        written = b"".join(data for s, data in writes if s == stream)
        *whole, rest = written.split(b"\n")
        expected = [line + b"\n" for line in whole] + ([rest] if rest else [])
        assert [line.data for line in read if line.stream == stream] == expected


def test_a_line_longer_than_a_file_is_kept_whole(place: Path) -> None:
    monitor = keeper(place, 50, 3)
    for data in (b"a\n", b"x" * 200 + b"\n", b"b\nc\n", b"d\n" * 30):
        monitor.keep(1, data)
    assert lines(place)[-3:] == [b"d\n"] * 3
    for name in os.listdir(place):
        content = (place / name).read_bytes()
        assert content.endswith(b"\n")


def test_following_goes_on_in_the_next_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader is held up at each line until the writer has begun two further files."""
    monitor = keeper(place, 200, 50)
    running = state.State(status="running")
    monkeypatch.setattr(state, "state", lambda _: running)
    monitor.keep(1, b"0\n")
    followed = log.read(str(place), follow=True)
    seen = [next(followed).data]
    for number in range(1, 300):
        monitor.keep(1, b"%d\n" % number)
    seen += [next(followed).data for _ in range(299)]
    assert seen == [b"%d\n" % n for n in range(300)]
    assert len(os.listdir(place)) > 10

    def end() -> None:
        nonlocal running
        monitor.keep(2, b"last")
        running = state.State(status="exited")
        (place / "exit.new").touch()
        (place / "exit.new").rename(place / "exit")

    writer = threading.Timer(0.05, end)
    writer.start()
    assert [line.data for line in followed] == [b"last"]
    writer.join()


@pytest.mark.parametrize(
    ("annotations", "bounds"),
    [({}, (0, 1)), ({"io.kobako.log": "5,2"}, (5, 2)), ({"io.kobako.log": "0,0"}, (0, 0))],
)
def test_the_spec_says_how_much_is_kept(
    annotations: dict[str, str], bounds: tuple[int, int]
) -> None:
    assert log_bounds({"annotations": annotations}) == bounds


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(st.integers(1, 2), st.text("ab\n", min_size=1, max_size=12).map(str.encode)),
        max_size=40,
    ),
    st.integers(0, 12),
    st.integers(0, 60),
    st.sampled_from([0, 60]),
)
def test_the_last_lines_are_the_last_of_all(
    tmp_path_factory: pytest.TempPathFactory,
    writes: list[tuple[int, bytes]],
    wanted: int,
    spacing: int,
    size: int,
) -> None:
    place = tmp_path_factory.mktemp("log")
    monitor = keeper(place, size, 1000)
    for stream, data in writes:
        monitor.keep(stream, data)
    with patch.object(log, "_SPACING", spacing):
        last = list(log.read(str(place), tail=wanted))
    assert last == list(log.read(str(place)))[-wanted or len(writes) * 100 :]


def test_the_last_lines_of_a_long_log_are_put_together_alone(place: Path) -> None:
    monitor = keeper(place, 0, 1)
    for number in range(20_000):
        monitor.keep(1 + number % 2, b"line %d\n" % number)
    with patch.object(log, "LogLine", Mock(wraps=log.LogLine)) as made:
        assert lines(place, tail=2) == [b"line 19998\n", b"line 19999\n"]
    assert made.call_count < 5000
