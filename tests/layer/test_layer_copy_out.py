"""A tree written to a directory that may hold anything, and to one tar."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from kobako.errors import Denied, Unavailable
from kobako.layer.copy_out import CopiedOut, copy_out, remove_others, write_file
from kobako.layer.export import Exported, export_all
from kobako.linux.ownership import XATTR, Own


def out(source: Path, target: Path, form: str = "emulated", epoch: int | None = None) -> CopiedOut:
    source_fd = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
    target_fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return copy_out(source_fd, target_fd, form, name=str(target), epoch=epoch)
    finally:
        os.close(source_fd)
        os.close(target_fd)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin/su").write_bytes(b"program")
    (tree / "bin/su").chmod(0o4755)
    (tree / "bin/link").symlink_to("/etc/../su")
    os.link(tree / "bin/su", tree / "again")
    os.mkfifo(tree / "pipe", 0o640)
    (tree / "日本語").write_text("x")
    (tree / "closed").mkdir()
    (tree / "closed/file").write_text("y")
    (tree / "closed").chmod(0o1555)
    os.utime(tree / "bin/su", ns=(10**18 + 5, 10**18 + 5))
    os.utime(tree / "bin", ns=(10**18, 10**18))
    return tree


def test_a_tree_arrives_as_it_is(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    for _ in range(2):  # what is there is written over
        done = out(tree, target)
        su, again = (target / "bin/su").stat(), (target / "again").stat()
        assert (su.st_ino, su.st_nlink) == (again.st_ino, 2)
        assert stat.S_IMODE(su.st_mode) == 0o4755 and su.st_mtime_ns == 10**18 + 5
        assert (su.st_uid, su.st_gid) == (os.geteuid(), os.getegid())
        assert (target / "bin").stat().st_mtime_ns == 10**18
        assert os.readlink(target / "bin/link") == "/etc/../su"
        assert stat.S_IMODE((target / "closed").stat().st_mode) == 0o1555
        assert (target / "closed/file").read_text() == "y"
        assert stat.S_IMODE((target / "pipe").stat().st_mode) == 0o640
        assert not list(target.rglob(".kobako-*"))
        assert "日本語".encode() in done.paths and not done.devices
        (target / "closed").chmod(0o755)  # for the next round of a plain user
    out(tree, target, epoch=7)
    assert {p.lstat().st_mtime for p in target.rglob("*")} == {7}


def test_nothing_is_written_through_links(tree: Path, tmp_path: Path) -> None:
    target, outside = tmp_path / "target", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (target / "bin").symlink_to(outside)
    (target / "again").symlink_to(outside / "kept")
    (target / "pipe").mkdir()
    (target / "pipe/full").write_text("")
    (target / "closed").write_text("a file where a directory comes")
    out(tree, target)
    assert sorted(os.listdir(outside)) == ["kept"] and (outside / "kept").read_text() == "kept"
    assert not (target / "bin").is_symlink() and (target / "bin/su").read_bytes() == b"program"
    assert (target / "again").read_bytes() == b"program"
    assert (target / "pipe").is_fifo() and (target / "closed/file").exists()


def test_devices_of_a_user_are_told(tmp_path: Path) -> None:
    tree, target = tmp_path / "tree", tmp_path / "target"
    tree.mkdir()
    target.mkdir()
    (tree / "null").write_bytes(b"")
    os.setxattr(tree / "null", XATTR, Own(0, 0, stat.S_IFCHR, os.makedev(1, 3)).encode())
    (tree / "other").write_bytes(b"z")
    os.setxattr(tree / "other", XATTR, Own(7, 8).encode())
    assert out(tree, target).devices == ("null",)
    assert os.listdir(target) == ["other"] and os.listxattr(target / "other") == []
    sink = io.BytesIO()
    fd = os.open(tree, os.O_RDONLY)
    export_all([Exported(fd, prefix=b"linux_amd64")], sink, "emulated", epoch=9)
    os.close(fd)
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue())) as tar:
        found = {m.name: (m.type, m.uid, m.mtime) for m in tar}
    assert found["linux_amd64/null"] == (tarfile.CHRTYPE, 0, 9)
    assert found["linux_amd64/other"] == (tarfile.REGTYPE, 7, 9)


def test_stale_files_go(tree: Path, tmp_path: Path) -> None:
    target, outside = tmp_path / "target", tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    (target / "bin/old").mkdir(parents=True)
    (target / "bin/old/file").write_text("")
    (target / "away").symlink_to(outside)
    done = out(tree, target)
    fd = os.open(target, os.O_RDONLY)
    write_file(fd, b"note.json", b"{}", place="target", epoch=None)
    remove_others(fd, done.paths | {b"note.json"}, name="target")
    os.close(fd)
    assert {os.fsencode(p.relative_to(target)) for p in target.rglob("*")} == done.paths | {
        b"note.json"
    }
    assert os.listdir(outside) == ["kept"]


@pytest.mark.only("user")
def test_a_destination_of_others_is_refused(tree: Path) -> None:
    with pytest.raises(Denied, match="write /usr/again: Permission denied"):
        out(tree, Path("/usr"))


@pytest.mark.only("root")
def test_a_full_disk_is_told(tree: Path, tmp_path: Path) -> None:
    import subprocess

    target = tmp_path / "small"
    target.mkdir()
    (tree / "big").write_bytes(bytes(3 << 20))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", target], check=True)
    try:
        with pytest.raises(Unavailable, match="small/big: No space left on device"):
            out(tree, target, "native")
        assert not (target / "big").exists() and not list(target.glob(".kobako-*"))
    finally:
        subprocess.run(["umount", target], check=True)
