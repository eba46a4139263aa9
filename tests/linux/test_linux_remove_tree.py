"""Removal of a tree somebody still writes into: the last words of a monitor, say."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kobako.linux import fs

rmdir = os.rmdir


def late_writer(monkeypatch: pytest.MonkeyPatch, tree: Path, times: int) -> None:
    """Before each of the first `times` removals of `tree` itself a file comes into it."""
    left = [times]

    def removed(name: str | bytes, *, dir_fd: int | None = None) -> None:
        if os.fsdecode(name) == str(tree) and left[0]:
            left[0] -= 1
            (tree / "below").mkdir()
            (tree / "below/late").write_text("x")
        rmdir(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "rmdir", removed)


def test_what_comes_late_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    late_writer(monkeypatch, tree, 2)
    fs.remove_tree(str(tree))
    assert not tree.exists()


def test_a_writer_without_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    late_writer(monkeypatch, tree, 1000)
    with pytest.raises(OSError) as caught:
        fs.remove_tree(str(tree))
    assert caught.value.errno == errno.ENOTEMPTY and tree.exists()
