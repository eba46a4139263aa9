"""The files of save and export: whole, or not there."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kobako.cli import streams

KILLED = """
import os, signal, sys
from kobako.cli import streams
with streams.output(sys.argv[1]) as sink:
    sink.write(bytes(1 << 20))
    sink.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_one_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "image.tar"
    target.write_text("an older one")
    done = subprocess.run([sys.executable, "-c", KILLED, str(target)])
    assert done.returncode == -signal.SIGKILL
    assert os.listdir(tmp_path) == ["image.tar"]
    assert target.read_text() == "an older one"


@pytest.mark.parametrize("unnamed", [True, False])
def test_it_appears_whole(tmp_path: Path, unnamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not unnamed:  # as where the file system has no files without a name
        monkeypatch.setattr(streams.output, "_open_unnamed", lambda *_: None)
    target = tmp_path / "image.tar"
    for content in (b"first", b"second"):
        with streams.output(str(target)) as sink:
            sink.write(content)
            before = target.read_bytes() if target.exists() else b""
            assert before != content
        assert target.read_bytes() == content
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask
    with pytest.raises(ValueError, match="no image"), streams.output(str(target)) as sink:
        sink.write(b"third")
        raise ValueError("no image")
    assert target.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["image.tar"]


def test_a_device_is_written_not_replaced() -> None:
    with streams.output("/dev/null") as sink:
        sink.write(b"gone")
    with pytest.raises(OSError, match="No space left") as caught, streams.output("/dev/full") as s:
        s.write(b"too much")
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == "/dev/full"
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
