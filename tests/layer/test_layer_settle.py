"""What the clock leaves in a tree, and what is left of it in a layer."""

from __future__ import annotations

import io
import os
import py_compile
import sys
from pathlib import Path

import pytest

from kobako.layer.change import Change
from kobako.layer.export import everything
from kobako.layer.pack import pack
from kobako.layer.settle import settle

EPOCH = 1_700_000_000


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "tree"
    (path / "d" / "e").mkdir(parents=True)
    (path / "d" / "old").write_text("old")
    os.utime(path / "d" / "old", ns=(0, 10**18 + 7))
    (path / "d" / "e" / "new").write_text("new")
    (path / "d" / "link").symlink_to("nowhere")
    os.mkfifo(path / "fifo")
    return path


def settled(path: Path, changes: list[Change] | None = None) -> bytes:
    """The tar of a tree that has been settled."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        settle(fd, changes if changes is not None else everything(fd), EPOCH)
        sink = io.BytesIO()
        pack(fd, everything(fd)[1:], sink, "plain")
    finally:
        os.close(fd)
    return sink.getvalue()


def test_times_are_whole_and_not_later_than_the_epoch(tree: Path) -> None:
    settled(tree)
    times = {str(p.relative_to(tree)): p.lstat().st_mtime_ns for p in tree.rglob("*")}
    assert times.pop("d/old") == 10**18
    assert set(times.values()) == {EPOCH * 10**9}


def test_what_is_not_a_change_stays(tree: Path) -> None:
    before = (tree / "d" / "old").stat().st_mtime_ns
    settled(tree, [Change("/d", "C"), Change("/d/e", "A"), Change("/gone", "D")])
    assert (tree / "d" / "old").stat().st_mtime_ns == before
    assert (tree / "d").stat().st_mtime == EPOCH


def test_the_same_tree_made_later_gives_the_same_tar(tree: Path) -> None:
    first = settled(tree)
    for path in tree.rglob("*"):
        os.utime(path, ns=(0, (EPOCH + 10**6) * 10**9 + 1), follow_symlinks=False)
    os.utime(tree / "d" / "old", ns=(0, 10**18 + 3))
    assert settled(tree) == first


@pytest.mark.parametrize("later", [True, False])
def test_byte_code_stays_valid(tree: Path, later: bool) -> None:
    source = tree / "module.py"
    source.write_text("value = 1\n")
    time = EPOCH + 1000 if later else EPOCH - 1000
    os.utime(source, (time, time))
    compiled = Path(py_compile.compile(str(source), doraise=True))
    if os.getuid() == 0:  # as every process is that settles a layer
        compiled.chmod(0o444)
    settled(tree)
    head = compiled.read_bytes()[:16]
    assert int.from_bytes(head[8:12], "little") == int(source.stat().st_mtime)
    assert int(source.stat().st_mtime) == min(time, EPOCH)


def test_byte_code_of_another_kind_is_left_alone(tree: Path) -> None:
    source = tree / "module.py"
    source.write_text("value = 1\n")
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    hashed = Path(py_compile.compile(str(source), doraise=True, invalidation_mode=mode))
    (tree / "short.pyc").write_bytes(b"\0" * 15)
    (tree / "python2.pyc").write_bytes(b"\x03\xf3\r\n\xff\xff\xff\xff" + b"\xff" * 20)
    before = hashed.read_bytes(), (tree / "python2.pyc").read_bytes()
    settled(tree)
    assert before == (hashed.read_bytes(), (tree / "python2.pyc").read_bytes())
    assert sys.implementation.cache_tag in hashed.name
