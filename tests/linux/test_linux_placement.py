"""Directories whose children lie apart on the disk."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from kobako.linux import placement

TOPDIR = 0x00020000


def flags(path: Path) -> int | None:
    """The inode's flags, None where the file system has none."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return int.from_bytes(fcntl.ioctl(fd, 0x80086601, bytes(8))[:4], "little")
    except OSError:
        return None
    finally:
        os.close(fd)


def test_the_flag_is_added_where_there_is_one(tmp_path: Path) -> None:
    before = flags(tmp_path)
    placement.spread(str(tmp_path))
    placement.spread(str(tmp_path))  # again changes nothing
    after = flags(tmp_path)
    assert after in (before, (before or 0) | TOPDIR)
    assert (after is None) == (before is None)
    (tmp_path / "child").mkdir()
    assert not (flags(tmp_path / "child") or 0) & TOPDIR  # it is of one directory alone


def test_a_directory_that_is_not_there_is_nobody_s_fault(tmp_path: Path) -> None:
    placement.spread(str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_a_directory_made_apart_is_empty_and_alone(tmp_path: Path) -> None:
    placement.make_apart(str(tmp_path / "tree"))
    assert os.listdir(tmp_path) == ["tree"]
    assert os.listdir(tmp_path / "tree") == []
    assert (tmp_path / "tree").stat().st_mode & 0o7777 == 0o755
    placement.make_apart(str(tmp_path / "tree"), 0o700)
    assert os.listdir(tmp_path) == ["tree"]
    assert (tmp_path / "tree").stat().st_mode & 0o7777 == 0o700
