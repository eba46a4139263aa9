"""What a graft tells of a tree is what packing the tree afterwards tells."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import pytest

from kobako.build.context import Context
from kobako.build.ops.copyists import Copyists
from kobako.build.ops.fresh import Fresh
from kobako.build.ops.modes import Mode
from kobako.errors import Unavailable
from kobako.layer.change import Change
from kobako.layer.export import everything
from kobako.layer.pack import pack
from own_children import own_children

EPOCH = 1_000_000_000
PYC = b"\xa7\r\r\n\0\0\0\0" + (2**31).to_bytes(4, "little") + bytes(4)


def fill(place: Path) -> None:
    """Some of everything that a context can have."""
    (place / "sub/deep").mkdir(parents=True)
    (place / "sub-sibling").mkdir()
    (place / "empty").mkdir(mode=0o700)
    (place / "none").touch()
    (place / "sub/small.txt").write_bytes(b"small")
    (place / "sub/exact").write_bytes(bytes(512))
    (place / "sub/deep/large").write_bytes(os.urandom(3_000_000))
    (place / "sub/deep/m.pyc").write_bytes(PYC + b"code")
    (place / "sub/deep/big.pyc").write_bytes(PYC + bytes(100_000))
    (place / ("n" * 120)).write_bytes(b"long")
    (place / "unic\u00f6de").write_bytes(b"name")
    (place / os.fsdecode(b"\xff\xfe")).write_bytes(b"no text")
    (place / "set").write_bytes(b"id")
    (place / "set").chmod(0o6755)
    (place / "sub/link").symlink_to("../" + "t" * 110)
    os.link(place / "sub/small.txt", place / "again")
    with open(place / "hole", "wb") as file:
        file.truncate(2_000_000)
    (place / "sub").chmod(0o2711)


def packed_both_ways(context: Path, tree: Path, mode: Mode | None) -> tuple[bytes, bytes]:
    (tree / "a/to").mkdir(parents=True)
    files = Context.open_directory(str(context))
    top = files.lookup("")
    assert top is not None
    fresh = Fresh(files, mode, EPOCH)
    assert fresh.add("a/to", top)
    root = os.open(tree, os.O_RDONLY)
    for name in ("a/to", "a"):
        os.utime(tree / name, (EPOCH, EPOCH))
    changes = [Change("/a", "A"), Change("/a/to", "A")]
    told, again = io.BytesIO(), io.BytesIO()
    try:
        fresh.begin(root)
        pack(root, changes, told, "plain", epoch=EPOCH, graft=fresh)
        fresh.finish()
        fresh.stop()
        pack(root, everything(root)[1:], again, "plain")
    finally:
        fresh.stop()
        files.close()
        os.close(root)
    return told.getvalue(), again.getvalue()


@pytest.mark.only("root")
@pytest.mark.parametrize("many", [0, 700])
@pytest.mark.parametrize("mode", ["", "u+w,go-rwx"])
def test_the_tar_is_that_of_the_tree(tmp_path: Path, many: int, mode: str) -> None:
    context = tmp_path / "context"
    fill(context)
    for n in range(many):
        place = context / f"d{n % 7}"
        place.mkdir(exist_ok=True)
        (place / f"f{n}").write_text(f"file {n}\n" * (n % 50))
    (tmp_path / "tree").mkdir()
    told, again = packed_both_ways(context, tmp_path / "tree", Mode(mode) if mode else None)
    assert told == again
    assert len(told) > 5_000_000
    tree = tmp_path / "tree/a/to"
    assert (tree / "again").stat().st_ino == (tree / "sub/small.txt").stat().st_ino
    assert (tree / "hole").stat().st_blocks * 512 < 100_000
    assert (tree / "sub/deep/m.pyc").read_bytes()[8:12] == EPOCH.to_bytes(4, "little")
    assert len(list(tree.rglob("f*"))) == many


def test_parts_come_in_their_order() -> None:
    def work(part: int, tell: object) -> None:
        for n in range(3):
            tell(b"%d.%d " % (part, n) * (1 + part * 20_000 % 77_777))  # type: ignore[operator]

    copyists = Copyists(3, 8, work)
    try:
        found = [b"".join(copyists.told(part)) for part in range(8)]
    finally:
        copyists.stop()
    for part, text in enumerate(found):
        words = text.split()
        assert len(words) == 3 * (1 + part * 20_000 % 77_777)
        assert words[0] == b"%d.0" % part and words[-1] == b"%d.2" % part


def test_a_fault_of_a_copyist_is_raised_here_and_nobody_stays() -> None:
    def work(part: int, tell: object) -> None:
        if part == 1:
            raise Unavailable("cannot read x", hint="look")
        if part == 2:
            raise OSError(28, "No space left on device")

    before = own_children()
    for part, kind in ((1, Unavailable), (2, OSError)):
        copyists = Copyists(3, 3, work)
        assert len(own_children() - before) == 3
        with pytest.raises(kind, match=r"cannot read x|No space"):
            list(copyists.told(part))
        copyists.stop()
    assert own_children() == before


def test_a_copyist_that_dies_is_no_end() -> None:
    def work(part: int, tell: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    copyists = Copyists(1, 1, work)
    with pytest.raises(Unavailable, match="has died"):
        list(copyists.told(0))
    copyists.stop()


def test_special_files_and_whiteouts_go_another_way(tmp_path: Path) -> None:
    for name in ("fifo", ".wh.x"):
        place = tmp_path / name.strip(".")
        place.mkdir()
        os.mkfifo(place / name) if name == "fifo" else (place / name).touch()
        files = Context.open_directory(str(place))
        top = files.lookup("")
        assert top is not None and not Fresh(files, None, 0).add("x", top)
        files.close()
