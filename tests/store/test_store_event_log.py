"""The event log: many writers, new files, and writers that are killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from kobako.store import event_log
from kobako.store.event_reader import EventReader, parse

WRITERS, EACH = 8, 60


def record(identity: str, **attributes: str) -> bytes:
    about = event_log.subject(identity, {"name": "n", **attributes})
    return event_log.line("container", "start", about)


def ids(reader: EventReader) -> list[str]:
    return [found["ID"] for found in reader.read()]


def test_many_write_at_once_and_files_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who follows sees each record once, in whichever file it is."""
    root, reader = str(tmp_path), EventReader(event_log.path(str(tmp_path)))
    whole = len(record("0" * 8)) * WRITERS * EACH
    monkeypatch.setattr(event_log, "_FULL", whole // 4)  # not more files than are kept
    children = []
    for writer in range(WRITERS):
        child = os.fork()
        if child == 0:
            for at in range(EACH):
                event_log.append(root, record(f"{writer:04}{at:04}"))
            os._exit(0)
        children.append(child)
    seen = []
    while children:
        seen += ids(reader)
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended:
            assert status == 0
            children.remove(ended)
    seen += ids(reader)
    reader.close()
    assert sorted(seen) == [f"{w:04}{at:04}" for w in range(WRITERS) for at in range(EACH)]
    for writer in range(WRITERS):
        own = [one for one in seen if one.startswith(f"{writer:04}")]
        assert own == sorted(own)
    assert len(os.listdir(tmp_path / "events")) > 1


def test_its_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "_FULL", 1000)
    for at in range(100):
        event_log.append(str(tmp_path), record(str(at)))
    sizes = [path.stat().st_size for path in (tmp_path / "events").iterdir()]
    assert len(sizes) <= 4
    assert max(sizes) < 1000 + 2 * len(record("99"))
    reader = EventReader(event_log.path(str(tmp_path)))
    left = ids(reader)
    reader.close()
    assert left == [str(at) for at in range(100 - len(left), 100)]


def test_one_who_is_in_the_midst_of_a_file_that_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = EventReader(event_log.path(str(tmp_path)))
    event_log.append(str(tmp_path), record("first"))
    assert ids(reader) == ["first"]
    event_log.append(str(tmp_path), record("second"))
    monkeypatch.setattr(event_log, "_FULL", 1)
    for at in range(6):
        event_log.append(str(tmp_path), record(str(at)))
    seen = ids(reader)
    reader.close()
    assert seen[0] == "second"
    assert seen[-1] == "5"


def test_a_record_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    event_log.append(str(tmp_path), record("before"))
    with open(event_log.path(str(tmp_path)), "ab") as file:
        file.write(record("torn", text='{"timeNano":1')[:-20])
    reader = EventReader(event_log.path(str(tmp_path)))
    assert ids(reader) == ["before"]
    event_log.append(str(tmp_path), record("after", text='\n{"timeNano":1'))
    assert ids(reader) == ["after"]
    reader.close()
    for nothing in (b"", b"x", b'{"timeNano":', b'{"timeNano":x,', b'{"timeNano":1,"ID":"x"}'):
        assert parse(nothing) is None


def test_writers_that_are_killed(tmp_path: Path) -> None:
    """Whatever they were at: what others write before and after is there, whole and once."""
    root, long = str(tmp_path), {"text": "x" * 300_000}
    expected = []
    for at in range(20):
        reads, writes = os.pipe()
        child = os.fork()
        if child == 0:
            while True:
                event_log.append(root, record("killed", **long))
                os.write(writes, b".")
        os.close(writes)
        os.read(reads, 1)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reads)
        event_log.append(root, record(str(at)))
        expected.append(str(at))
    reader = EventReader(event_log.path(root))
    records = list(reader.read())
    reader.close()
    others = [r["ID"] for r in records if r["ID"] != "killed"]
    assert others == expected[-len(others) :]
    assert others
    assert all(r["Attributes"]["text"] == long["text"] for r in records if r["ID"] == "killed")
