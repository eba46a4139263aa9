"""Files that are mostly nothing: what a layer holds of them, and what unpacking makes of it."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from kobako.layer import holes
from kobako.layer.apply import apply
from kobako.layer.export import everything
from kobako.layer.pack import pack
from kobako.layer.tar import read_entries
from kobako.linux import fs

FORM = "native" if os.geteuid() == 0 else "emulated"
HUGE = 100 << 30
NAME = "d/" + "long" * 20 + "/" + "file" * 12


def packed(tree: Path, **options: bool) -> bytes:
    fd = os.open(tree, os.O_RDONLY)
    sink = io.BytesIO()
    try:
        pack(fd, everything(fd, FORM), sink, "plain", FORM, **options)
    finally:
        os.close(fd)
    return sink.getvalue()


def unpacked(data: bytes, target: Path) -> None:
    target.mkdir()
    fd = os.open(target, os.O_RDONLY)
    try:
        apply(io.BytesIO(data), fd, FORM)
    finally:
        os.close(fd)


def sparse_file(path: Path, size: int, pieces: dict[int, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        for at, data in pieces.items():
            file.seek(at)
            file.write(data)
        file.truncate(size)
    return path


def on_disk(path: Path) -> int:
    return path.stat().st_blocks * 512


@pytest.mark.parametrize(
    "pieces", [{}, {0: b"start"}, {HUGE - 3: b"end"}, {5: b"a", 70 << 30: b"b" * (2 << 20)}]
)
def test_a_huge_hole_costs_nothing(tmp_path: Path, pieces: dict[int, bytes]) -> None:
    made = sparse_file(tmp_path / "tree" / NAME, HUGE, pieces)
    data = packed(tmp_path / "tree")
    assert len(data) < 5 << 20
    unpacked(data, tmp_path / "again")
    again = tmp_path / "again" / NAME
    assert again.stat().st_size == HUGE and on_disk(again) <= on_disk(made) + (4 << 20)
    fd = os.open(again, os.O_RDONLY)
    try:
        for at, content in pieces.items():
            assert os.pread(fd, len(content), at) == content
            assert os.pread(fd, 10, at + len(content) + (1 << 30)).strip(b"\0") == b""
    finally:
        os.close(fd)
    assert packed(tmp_path / "again") == data


def test_the_layer_does_not_tell_zeros_from_holes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holes, "WORTH", 8 << 20)
    size = 20 << 20
    content = {3 << 20: b"x" * 100, 15 << 20: b"y"}
    sparse_file(tmp_path / "a/f", size, content)
    whole = sparse_file(tmp_path / "b/f", size, {0: bytes(size), **content})
    assert on_disk(whole) >= size
    for tree in (tmp_path / "a", tmp_path / "b"):
        os.utime(tree / "f", (1, 1))
        os.utime(tree, (1, 1))
    data = packed(tmp_path / "a")
    assert data == packed(tmp_path / "b")
    assert len(data) < 3 << 20
    # A tree that is in use may change between its map and its content: written as it is.
    assert len(packed(tmp_path / "a", moving=True)) > size


def test_below_a_gigabyte_members_are_plain(tmp_path: Path) -> None:
    sparse_file(tmp_path / "tree/f", 30 << 20, {0: b"x"})
    data = packed(tmp_path / "tree")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert not tar.getmember("f").issparse()
    unpacked(data, tmp_path / "again")
    again = tmp_path / "again/f"
    assert again.read_bytes() == (tmp_path / "tree/f").read_bytes()
    assert on_disk(again) <= 2 << 20  # long zeros of any layer become holes


def test_other_programs_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holes, "WORTH", 8 << 20)
    made = sparse_file(
        tmp_path / "tree" / NAME, 30 << 20, {7 << 20: b"x" * (1 << 20), 25 << 20: b"e"}
    )
    data = packed(tmp_path / "tree")
    (found,) = [e for e, _ in read_entries(io.BytesIO(data)) if e.sparse is not None]
    assert found.size == 30 << 20 and found.name == NAME.encode()
    for program in ("gnu", "python"):
        (tmp_path / program).mkdir()
    subprocess.run(["tar", "-xf", "-", "-C", tmp_path / "gnu"], input=data, check=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extraction_filter = lambda member, path: member  # Pythons before 3.11.4 know none
        tar.extract(tar.getmember(NAME), tmp_path / "python")
    for program in ("gnu", "python"):
        assert (tmp_path / program / NAME).read_bytes() == made.read_bytes()


def test_many_pieces_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holes, "_PIECES", 100)
    monkeypatch.setattr(holes, "WORTH", 8 << 20)
    step, size = 3 << 20, 1 << 30
    pieces = {n * step: b"x" for n in range(80)} | {(900 << 20) + n * step: b"x" for n in range(39)}
    pieces[500 << 20] = b"long" * (3 << 20)
    made = sparse_file(tmp_path / "f", size, pieces)
    fd = os.open(made, os.O_RDONLY)
    try:
        found = holes.find(fd, size)
        assert found is not None and len(found) < 100
        for at, data in pieces.items():
            assert any(s <= at and at + len(data) <= s + length for s, length in found)
        assert sum(length for _, length in found) < size // 2
    finally:
        os.close(fd)


def test_copies_keep_holes(tmp_path: Path) -> None:
    made = sparse_file(tmp_path / "f", HUGE, {50 << 30: b"x" * 9})
    source = os.open(made, os.O_RDONLY)
    target = os.open(tmp_path / "g", os.O_RDWR | os.O_CREAT)
    try:
        fs.copy_content(source, target, HUGE)
        assert os.pread(target, 9, 50 << 30) == b"x" * 9
    finally:
        os.close(source)
        os.close(target)
    assert (tmp_path / "g").stat().st_size == HUGE and on_disk(tmp_path / "g") < 1 << 20
