"""Calls by name in a directory somebody else may write to."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kobako.linux import fs


def test_a_mode_is_never_set_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.touch(mode=0o600)
    (tmp_path / "d").mkdir(mode=0o700)
    (tmp_path / "d/link").symlink_to(victim)
    os.mkfifo(tmp_path / "d/pipe", 0o600)
    fd = os.open(tmp_path / "d", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fs.change_mode(fd, "pipe", 0o646)
        try:
            fs.change_mode(fd, b"link", 0o777)
        except OSError:
            pass  # what Linux says since 6.6; before, the link itself got it
        with pytest.raises(FileNotFoundError):
            fs.change_mode(fd, "nothing", 0o777)
    finally:
        os.close(fd)
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "d/pipe").stat().st_mode) == 0o646
