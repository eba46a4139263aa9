"""Progress as text and as JSON, from events alone; and what a live tree's frames are made of."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kobako.build import progress as events
from kobako.cli.progress import style
from kobako.cli.progress.board import Board
from kobako.cli.progress.cells import clip, printable, spread, width
from kobako.cli.progress.plain import Plain
from kobako.cli.progress.rawjson import RawJson, moment
from kobako.cli.progress.window import Window
from kobako.errors import Invalid
from kobako.events import Event, LayerProgress


class Clock:
    """A clock that is told the time."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def start(number: int, name: str, *inputs: str) -> Event:
    return events.VertexStarted(number, f"vertex-{number}", name, "", inputs)


def out(number: int, text: str | bytes, seconds: float = 0.1, stream: int = 1) -> Event:
    data = text if isinstance(text, bytes) else text.encode()
    return events.VertexOutput(number, f"vertex-{number}", stream, data, seconds)


def done(number: int, seconds: float = 0.2, cached: bool = False, error: str = "") -> Event:
    return events.VertexDone(number, f"vertex-{number}", "", seconds, cached, error)


def plain(*told: Event | float) -> str:
    """What plain progress writes; a number lets that time pass."""
    sink, clock = io.BytesIO(), Clock()
    progress = Plain(sink, clock)
    for event in told:
        if isinstance(event, float):
            clock.now += event
            progress.event(events.Waiting())
        else:
            progress.event(event)
    progress.close()
    return sink.getvalue().decode("utf-8", "surrogateescape")


def test_a_build_in_plain_lines() -> None:
    assert plain(
        start(1, "[internal] load metadata for docker.io/library/python:latest"),
        done(1, 0.04),
        start(2, "[1/3] FROM docker.io/library/python:latest"),
        done(2, cached=True),
        start(3, "[2/3] RUN make"),
        out(3, "one\ntwo\n", 0.123),
        out(3, "late\n", 12.345),
        out(3, "later\n", 123.45),
        done(3, 130.06),
        start(4, "[3/3] COPY a /b"),
        done(4, 0.0),
    ) == (
        "#1 [internal] load metadata for docker.io/library/python:latest\n"
        "#1 DONE 0.0s\n\n"
        "#2 [1/3] FROM docker.io/library/python:latest\n"
        "#2 CACHED\n\n"
        "#3 [2/3] RUN make\n"
        "#3 0.123 one\n#3 0.123 two\n#3 12.35 late\n#3 123.5 later\n"
        "#3 DONE 130.1s\n\n"
        "#4 [3/3] COPY a /b\n"
        "#4 DONE 0.0s\n"
    )


def test_vertices_at_once_repeat_their_header_and_lose_nothing() -> None:
    assert plain(
        start(1, "A"),
        start(2, "B"),
        out(1, "a1\n"),
        out(2, "b1\n"),
        out(1, "a2\n"),
        0.5,
        0.6,
        out(2, "b2\n"),
        out(1, "a3\n"),
        done(1),
        done(2),
    ) == (
        "#1 A\n#1 0.100 a1\n#1 0.100 a2\n#1 ...\n\n"
        "#2 B\n#2 0.100 b1\n#2 0.100 b2\n#2 ...\n\n"
        "#1 A\n#1 0.100 a3\n#1 DONE 0.2s\n\n"
        "#2 B\n#2 DONE 0.2s\n"
    )


def test_a_failure_is_told_with_its_last_lines_and_what_it_ended() -> None:
    text = "".join(f"line {n}\n" for n in range(20))
    assert plain(
        start(1, "[2/2] RUN false"),
        start(2, "[x 1/1] RUN sleep"),
        out(1, text + "no newline"),
        done(1, error='process "/bin/sh -c false" did not complete successfully: exit code: 1'),
    ) == (
        "#1 [2/2] RUN false\n"
        + "".join(f"#1 0.100 line {n}\n" for n in range(20))
        + "#1 0.100 no newline\n"
        '#1 ERROR: process "/bin/sh -c false" did not complete successfully: exit code: 1\n\n'
        "#2 [x 1/1] RUN sleep\n#2 CANCELED\n"
        "------\n > [2/2] RUN false:\n"
        + "".join(f"0.100 line {n}\n" for n in range(11, 20))
        + "0.100 no newline\n------\n"
    )


def test_transfers_are_told_by_steps() -> None:
    told: list[Event | float] = [start(1, "[internal] load metadata for x")]
    for count in range(0, 1001, 10):
        told += [LayerProgress("0123456789ab", "Downloading", count * 1000, 1_000_000), 0.01]
    told += [LayerProgress("0123456789ab", "Pull complete"), done(1)]
    lines = plain(*told).splitlines()
    assert lines[1] == "#1 0123456789ab Downloading 0B / 1.00MB"
    assert lines[2] == "#1 0123456789ab Downloading 200.00kB / 1.00MB 0.2s"
    assert lines[-2] == "#1 0123456789ab Pull complete 1.0s done"
    assert len(lines) in (7, 8, 9)


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.binary(min_size=1, max_size=30), st.floats(0, 2)),
        max_size=30,
    )
)
def test_plain_loses_no_byte(pieces: list[tuple[int, bytes, float]]) -> None:
    sink, clock = io.BytesIO(), Clock()
    progress = Plain(sink, clock)
    for number in (1, 2, 3):
        progress.event(start(number, f"name {number}"))
    wanted = {1: b"", 2: b"", 3: b""}
    for number, data, pause in pieces:
        clock.now += pause
        data += b"\n"
        progress.event(out(number, data))
        wanted[number] += data.replace(b"\r\n", b"\n")
    progress.close()
    shown = sink.getvalue()
    for number, data in wanted.items():
        for line in data.split(b"\n"):
            assert line in shown, (number, line)


def test_events_as_json() -> None:
    sink = io.StringIO()
    times = iter(range(1_700_000_000_000_000_000, 1_700_000_100_000_000_000, 1_500_000_000))
    progress = RawJson(sink, lambda: next(times))
    for event in (
        start(1, "[1/2] FROM scratch"),
        done(1, cached=True),
        start(2, "[2/2] RUN é", "vertex-1"),
        LayerProgress("0123456789ab", "Downloading", 5, 10),
        out(2, b"\xff\n", stream=2),
        events.CheckWarning("Rule", "why", 3, 4, "t", "what", "https://x"),
        events.Warning("careful", 7),
        done(2, error="exit code: 1"),
    ):
        progress.event(event)
    progress.close()
    documents = [json.loads(line) for line in sink.getvalue().splitlines()]
    first, ended, second, status, log, file, check, note, failed = documents
    digest = first["vertexes"][0]["digest"]
    assert digest.startswith("sha256:") and len(digest) == 71
    assert first == {
        "vertexes": [
            {"digest": digest, "name": "[1/2] FROM scratch", "started": "2023-11-14T22:13:20Z"}
        ]
    }
    assert ended["vertexes"][0] == first["vertexes"][0] | {
        "completed": "2023-11-14T22:13:21.5Z",
        "cached": True,
    }
    run = second["vertexes"][0]
    assert run["inputs"] == [digest] and run["name"] == "[2/2] RUN é"
    assert status == {
        "statuses": [
            {
                "id": "0123456789ab", "vertex": run["digest"], "name": "Downloading", "total": 10,
                "current": 5, "timestamp": "2023-11-14T22:13:24.5Z",
                "started": "2023-11-14T22:13:24.5Z",
            }
        ]
    }  # fmt: skip
    assert log["logs"][0]["data"] == "/wo=" and log["logs"][0]["stream"] == 2
    assert check["warnings"] == [
        {
            "vertex": file["vertexes"][0]["digest"], "level": 1,
            "short": "UnVsZTogd2h5IChsaW5lIDMp", "detail": ["d2hhdA=="], "url": "https://x",
            "range": [{"start": {"line": 3}, "end": {"line": 4}}],
        }
    ]  # fmt: skip
    assert note["warnings"][0]["range"][0]["start"] == {"line": 7}
    assert failed["vertexes"][0]["error"] == "exit code: 1"


def test_moments() -> None:
    assert moment(0) == "1970-01-01T00:00:00Z"
    assert moment(1_123_456_789) == "1970-01-01T00:00:01.123456789Z"


ONE = "FROM a\nRUN b\n"
TWO = "from a AS x\nFROM x\n"


@pytest.mark.parametrize(
    ("said", "environ", "dockerfiles", "chosen"),
    [
        ("", {}, (ONE,), "classic"),
        ("auto", {}, (TWO,), "plain"),
        ("", {}, (ONE, ONE), "plain"),
        ("", {"DOCKER_BUILDKIT": "0"}, (TWO,), "classic"),
        ("", {"BUILDKIT_PROGRESS": "rawjson"}, (ONE,), "rawjson"),
        ("quiet", {"BUILDKIT_PROGRESS": "plain"}, (ONE,), "quiet"),
        ("classic", {}, (TWO,), "classic"),
    ],
)
def test_the_choice_without_a_terminal(
    said: str,
    environ: dict[str, str],
    dockerfiles: tuple[str, ...],
    chosen: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.isatty", lambda number: False)
    assert style.choose(said, environ, dockerfiles) == chosen


def test_the_choice_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.isatty", lambda number: True)
    assert style.choose("", {"TERM": "xterm"}, (ONE,)) == "classic"
    assert style.choose("", {"TERM": "xterm"}, (TWO,)) == "tty"
    assert style.choose("", {"TERM": "dumb"}, (TWO,)) == "plain"


def test_what_cannot_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.isatty", lambda number: False)
    with pytest.raises(Invalid, match="not a terminal"):
        style.choose("tty", {}, (ONE,))
    with pytest.raises(Invalid, match="invalid progress mode 'fancy'"):
        style.choose("", {"BUILDKIT_PROGRESS": "fancy"}, (ONE,))


def test_cells() -> None:
    assert width("小箱 box") == 8 and width("e\u0301") == 1
    assert clip("小箱の", 5) == "小箱" and clip("小箱の", 6) == "小箱の"
    assert spread("小箱", "1s", 8) == "小箱  1s" and width(spread("x" * 99, " 1s", 20)) == 20
    assert printable("a\x1b[2Jb\nc\td") == "a\ufffd[2Jb c d"


def shown(data: bytes, rows: int = 4, columns: int = 10) -> list[str]:
    window = Window(rows, columns)
    window.feed(data)
    return window.lines()


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b"1\n2\n3\n4\n5\n", ["3", "4", "5"]),
        (b"10%\r20%\r100%", ["100%"]),
        (b"abcdef\rxy", ["xycdef"]),
        (b"longer than ten", ["longer tha", "n ten"]),
        ("小箱小箱小箱".encode(), ["小箱小箱小", "箱"]),
        (b"\x1b[31mred\x1b[0m", ["red"]),
        (b"a\nb\x1b[1A\x1b[2Kc", [" c", "b"]),
        (b"all\ngone\x1b[2Jnew", ["new"]),
        (b"\x1b]0;title\x07text\x1b]8;;x\x1b\\!", ["text!"]),
        (b"\x1b(B\x1b=x\x07\x00\x9by", ["x\ufffdy"]),
        (b"ab\x1b[K\x1b[Dc\x1b[Kd", ["acd"]),
        (b"tab\tx", ["tab     x"]),
        (b"bad \xff\xfe", ["bad \ufffd\ufffd"]),
        (b"e\xcc\x81", ["e\u0301"]),
        (b"\x1b[999999999999C!", ["         !"]),
        (b"\x1b[" + b"1" * 5000 + b"mx", ["1" * 8 + "mx"]),
    ],
)
def test_a_window(data: bytes, lines: list[str]) -> None:
    if len(data) > 1000:
        assert all(width(line) <= 10 for line in shown(data))
    else:
        assert shown(data) == lines


@given(st.binary(max_size=300), st.integers(1, 30), st.integers(1, 30))
def test_a_window_never_leaves_its_frame(data: bytes, columns: int, other: int) -> None:
    window = Window(6, columns)
    window.feed(data)
    window.resize(other)
    window.feed(data)
    lines = window.lines()
    assert len(lines) <= 6
    assert all(c.isprintable() or width(c) == 0 for line in lines for c in line)
    assert all(width(line) <= max(2, other) for line in lines[-1:])


def board() -> Board:
    board = Board(0.0)
    board.planned = 5
    board.started(1, "[internal] load metadata for x", 0.0, False)
    board.done(1, 0.31, "")
    board.started(2, "[base 1/2] FROM x", 1.0, True)
    board.done(2, 0.0, "CACHED")
    board.started(3, "[base 2/2] RUN 小箱を作る", 1.0, True)
    board.output(3, "".join(f"line {n}\n" for n in range(9)).encode(), 2.0)
    board.started(4, "[two 1/1] RUN sleep", 2.0, True)
    return board


def test_a_frame() -> None:
    lines = [line.text for line in board().frame(50, 24, 4.04)]
    assert lines == [
        "[+] Building 4.0s (2/6)",
        " => [internal] load metadata for x            0.3s",
        " => CACHED [base 1/2] FROM x                  0.0s",
        " => [base 2/2] RUN 小箱を作る                 3.0s",
        " => => # line 4",
        " => => # line 5",
        " => => # line 6",
        " => => # line 7",
        " => => # line 8",
        " => [two 1/1] RUN sleep                       2.0s",
    ]


def test_a_small_terminal_keeps_what_runs() -> None:
    lines = [line.text for line in board().frame(50, 4, 4.04)]
    assert lines[0].startswith("[+]") and len(lines) <= 4
    assert any("小箱" in line for line in lines) and any("sleep" in line for line in lines)
    assert not any("metadata" in line for line in lines)


@pytest.mark.parametrize("columns", [20, 33, 79, 200])
@pytest.mark.parametrize("rows", [2, 3, 7, 40])
def test_no_line_is_too_long_and_no_frame_too_high(columns: int, rows: int) -> None:
    full = board()
    full.warnings.append("x" * 300)
    full.transfer(4, "0123456789ab", "Downloading", (5_000_000, 10_000_000), False, 3.0)
    for number in range(5, 40):
        full.started(number, f"step {number} " + "長" * 90, 3.0, True)
    lines = full.frame(columns, rows, 5.0)
    assert all(width(line.text) <= columns for line in lines)
    assert len(lines) <= max(rows, 3)
    assert len(full.frame(columns, rows, 5.0, final=True)) > 38


def test_the_last_frame_tells_how_each_ended() -> None:
    last = board()
    last.done(3, 3.0, "ERROR")
    texts = [line.text for line in last.frame(60, 24, 5.0, final=True)]
    assert texts[3].startswith(" => ERROR [base 2/2]")
    assert texts[4].startswith(" => CANCELED [two 1/1]") and len(texts) == 5
    whole = board()
    whole.planned = 3
    whole.done(3, 3.0, "")
    whole.done(4, 3.0, "")
    assert whole.frame(60, 24, 5.0, final=True)[0].text == "[+] Building 5.0s (4/4) FINISHED"


def test_a_transfer_has_a_bar_until_it_is_over() -> None:
    state = board()
    state.transfer(4, "0123456789ab", "Downloading", (5_000_000, 10_000_000), False, 3.0)
    line = next(x.text for x in state.frame(100, 24, 4.0) if "0123456789ab" in x.text)
    assert "[==========>         ] 5.00MB / 10.00MB" in line and line.endswith(" 1.0s")
    state.transfer(4, "0123456789ab", "Pull complete", (0, 0), True, 4.0)
    line = next(x.text for x in state.frame(100, 24, 9.0) if "0123456789ab" in x.text)
    assert line.startswith(" => => 0123456789ab Pull complete ") and line.endswith(" 1.0s")
