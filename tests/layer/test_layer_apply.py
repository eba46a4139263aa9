"""Unpacking: what layers say, what hostile layers try, and a real Debian."""

from __future__ import annotations

import io
import os
import random
import stat
import subprocess
from pathlib import Path

import pytest
from layer_trees import as_namespace_root, facts

from kobako.errors import Corrupt, Invalid, KobakoError
from kobako.layer import entry as kinds
from kobako.layer.apply import apply
from kobako.layer.entry import Entry
from kobako.layer.format import opaque_xattr
from kobako.layer.tar import TarWriter
from kobako.linux.ownership import XATTR, Owners

FORM = "native" if os.geteuid() == 0 else "emulated"


def archive(*members: Entry | tuple[Entry, bytes]) -> bytes:
    sink = io.BytesIO()
    writer = TarWriter(sink)
    for member in members:
        entry, content = member if isinstance(member, tuple) else (member, b"")
        entry.size = len(content)
        writer.add(entry, content)
    writer.finish()
    return sink.getvalue()


def file(name: bytes, content: bytes = b"x", **more) -> tuple[Entry, bytes]:
    return Entry(name, mtime_ns=10**18, **more), content


def directory(name: bytes, mode: int = 0o755) -> Entry:
    return Entry(name, kinds.DIRECTORY, mode, mtime_ns=10**18)


def link(name: bytes, target: bytes) -> Entry:
    return Entry(name, kinds.SYMLINK, 0o777, link=target)


def hard(name: bytes, target: bytes) -> Entry:
    return Entry(name, kinds.HARDLINK, link=target)


def unpack(data: bytes, tree: Path, form: str = FORM, *, merge: bool = False, owners=None):
    """Unpacks as root of a namespace; the tree's facts, so that nobody needs to read it after."""

    def work():
        tree.mkdir(exist_ok=True)
        fd = os.open(tree, os.O_RDONLY)
        try:
            apply(io.BytesIO(data), fd, form, owners, merge=merge)
        finally:
            os.close(fd)
        return facts(tree)

    return as_namespace_root(work)


def test_paths_are_taken_within_the_tree(tmp_path: Path) -> None:
    tree = unpack(archive(file(b"/abs"), file(b"./a//b/../c"), file(b"deep/er/f")), tmp_path / "t")
    assert set(tree) == {b"abs", b"a", b"a/c", b"deep", b"deep/er", b"deep/er/f"}
    assert tree[b"deep/er"][1] == 0o755


def test_names_are_bytes(tmp_path: Path) -> None:
    tree = unpack(archive(file(b"\xff\xfe\n"), link(b"l", b"\xff")), tmp_path / "t")
    assert set(tree) == {b"\xff\xfe\n", b"l"}


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([file(b"../up")], "climbs out"),
        ([file(b"a/../../up")], "climbs out"),
        ([hard(b"h", b"../../../../etc/passwd")], "climbs out"),
        ([hard(b"h", b"/etc/passwd")], "does not exist"),
        ([link(b"l", b"/etc/passwd"), hard(b"h", b"l/x")], "not a directory|symbolic link to noth"),
        ([link(b"l", b"../outside"), file(b"l/x")], "symbolic link to nothing"),
        ([link(b"l", b"l"), file(b"l/x")], "circles"),
        ([file(b"f"), file(b"f/x")], "not a directory"),
        ([directory(b"d"), hard(b"h", b"d")], "is a directory"),
        ([file(b".wh.")], "whiteout of nothing"),
        ([file(b".wh..")], "whiteout of nothing"),
        ([file(b".wh...")], "whiteout of nothing"),
        ([file(b".wh./")], "whiteout of nothing"),
        ([file(b".wh.d/x")], "reserved"),
        ([file(b"x" * 300)], "too long"),
        ([file(b"/".join([b"d" * 200] * 30))], "too long"),
        ([link(b"", b"x")], "not a file name"),
        ([file(b".")], "root of the tree"),
        ([link(b"s", b"")], "without a target"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, members, says: str) -> None:
    (tmp_path / "outside").mkdir()
    with pytest.raises(Invalid, match=says) as caught:
        unpack(archive(*members), tmp_path / "t")
    assert "entry" in str(caught.value)
    assert os.listdir(tmp_path / "outside") == []
    assert set(os.listdir(tmp_path)) <= {"t", "outside"}


@pytest.mark.parametrize(
    "target", [b"/", b"/..", b"../../../../../..", b"/inside/../..", b"inside", b"/inside"]
)
def test_links_on_the_way_lead_where_they_do_in_a_container(tmp_path: Path, target: bytes) -> None:
    data = archive(directory(b"inside"), link(b"l", target), file(b"l/f"), directory(b"l/d"))
    tree = unpack(data, tmp_path / "t")
    place = b"inside/" if target.endswith(b"inside") else b""
    assert {place + b"f", place + b"d"} <= set(tree)
    assert os.listdir(tmp_path) == ["t"]


def test_later_entries_replace_earlier_ones(tmp_path: Path) -> None:
    data = archive(
        directory(b"d"),
        file(b"d/old"),
        file(b"f", b"1"),
        link(b"l", b"d"),
        file(b"d/again", b"1"),
        link(b"d/again", b"x"),
        file(b"d/again", b"22"),  # not through the link
        directory(b"l"),  # a directory takes the link's place
        file(b"l/new"),
        link(b"f", b"/etc"),
        file(b"g"),
        hard(b"g", b"g"),
        file(b"h", b"3"),
        hard(b"h", b"g"),
    )
    tree = unpack(data, tmp_path / "t")
    assert tree[b"d/again"][4] == hash(b"22") or stat.S_ISREG(tree[b"d/again"][0])
    assert stat.S_ISDIR(tree[b"l"][0]) and b"l/new" in tree and b"d/new" not in tree
    assert tree[b"f"][4] == b"/etc"
    assert tree[b"h"][5] == b"g"


def test_a_directory_replaced_by_a_link_is_not_entered_through_old_descriptors(tmp_path) -> None:
    data = archive(
        directory(b"d"), file(b"d/one"), directory(b"e"), link(b"d", b"e"), file(b"d/two")
    )
    tree = unpack(data, tmp_path / "t")
    assert set(tree) == {b"d", b"e", b"e/two"}


def test_whiteouts_and_opaque_markers_become_overlays(tmp_path: Path) -> None:
    def opaque() -> list[str]:
        found = []
        for name in ("a", "b", "c", "c/d", "e"):
            try:
                if os.getxattr(tmp_path / "t" / name, opaque_xattr(FORM)) == b"y":
                    found.append(name)
            except OSError:
                pass
        return found

    data = archive(
        file(b"a/.wh.gone"),
        file(b"b/.wh..wh..opq"),
        file(b"c/.wh.d"),
        directory(b"c/d"),
        directory(b"e"),
        file(b".wh.e"),
        file(b".wh..wh.plnk"),
        file(b"x"),
        file(b".wh.x"),
    )
    tree = unpack(data, tmp_path / "t")
    assert set(tree) == {b"a", b"a/gone", b"b", b"c", b"c/d", b"e", b"x"}
    assert stat.S_ISCHR(tree[b"a/gone"][0]) and tree[b"a/gone"][4] == 0
    assert stat.S_ISREG(tree[b"x"][0])
    assert as_namespace_root(opaque) == ["b", "c/d", "e"]


def test_merged_whiteouts_delete_what_was_there_before(tmp_path: Path) -> None:
    tree = tmp_path / "t"
    unpack(
        archive(file(b"a/1"), file(b"a/2"), file(b"b/1"), file(b"b/d/1"), link(b"l", b"x")), tree
    )
    second = archive(
        file(b"a/.wh.1"),
        file(b"b/d/2"),
        file(b"b/.wh..wh..opq"),
        file(b".wh.l"),
        file(b".wh.never"),
    )
    found = unpack(second, tree, merge=True)
    assert set(found) == {b"a", b"a/2", b"b", b"b/d", b"b/d/2"}


def test_images_cannot_speak_for_overlay_or_for_us(tmp_path: Path) -> None:
    prefix = opaque_xattr(FORM).removesuffix("opaque").encode()
    hostile = {prefix + b"opaque": b"y", b"user.kobako.own": b"7:7", b"user.fine": b"1"}
    unpack(archive((Entry(b"d/", kinds.DIRECTORY, 0o755, xattrs=hostile), b"")), tmp_path / "t")

    def xattrs() -> dict[str, bytes]:
        path = tmp_path / "t/d"
        return {n: os.getxattr(path, n) for n in os.listxattr(path)}

    assert as_namespace_root(xattrs) == {
        "user.fine": b"1",
        prefix.decode() + "overlay.opaque": b"y",
    }


def test_emulated_ownership_is_written_down(tmp_path: Path) -> None:
    owners = Owners()

    def work():
        tree = tmp_path / "t"
        tree.mkdir()
        fd = os.open(tree, os.O_RDONLY)
        data = archive(
            (Entry(b"f", mode=0o4000, uid=33, gid=8), b"x"),
            Entry(b"root", uid=0, gid=0),
            Entry(b"dev", kinds.CHAR, 0o600, 0, 5, major=5, minor=1),
            Entry(b"ln", kinds.SYMLINK, uid=4, gid=5, link=b"f"),
            Entry(b"fifo", kinds.FIFO, uid=6, gid=7),
            link(b"l2", b"sub"),
            directory(b"sub"),
            Entry(b"l2/ln", kinds.SYMLINK, uid=9, gid=9, link=b"f"),
            Entry(b"again", kinds.SYMLINK, uid=9, gid=9, link=b"f"),
            Entry(b"again", kinds.SYMLINK, uid=0, gid=0, link=b"f"),
        )
        apply(io.BytesIO(data), fd, "emulated", owners)
        notes = {}
        for name in ("f", "dev", "root"):
            try:
                notes[name] = os.getxattr(tree / name, XATTR)
            except OSError:
                notes[name] = b""
        return notes, dict(owners), facts(tree, owners=False)

    notes, table, tree = as_namespace_root(work)
    assert notes == {"f": b"33:8", "root": b"", "dev": b"0:5:20000:%d" % os.makedev(5, 1)}
    assert table == {b"ln": (4, 5), b"fifo": (6, 7), b"sub/ln": (9, 9)}
    assert tree[b"f"][1] == 0o4000 and stat.S_ISREG(tree[b"dev"][0])


def test_a_damaged_stream_leaves_no_thread_behind(tmp_path: Path) -> None:
    import threading

    before = threading.active_count()
    data = archive(*(file(b"f%d" % n, b"y" * 50_000) for n in range(200)))
    (tmp_path / "t").mkdir()
    for bad in (data[:5_000_000], data[:1000], data[:700_000] + b"\xff" * 60_000 + data[760_000:]):
        with pytest.raises((Corrupt, Invalid)):
            fd = os.open(tmp_path / "t", os.O_RDONLY)
            try:
                apply(io.BytesIO(bad), fd, "emulated")
            finally:
                os.close(fd)
    assert threading.active_count() == before


def test_2000_mutated_archives_stay_inside(tmp_path: Path) -> None:
    """Each ends well or in one of our errors; nothing appears beside the target."""
    base = archive(
        directory(b"usr/bin", 0o755),
        file(b"usr/bin/tool", b"#!" * 300, uid=1, xattrs={b"user.a": b"b"}),
        link(b"bin", b"usr/bin"),
        link(b"up", b"../../.."),
        file(b"bin/other", b"data"),
        hard(b"usr/bin/hard", b"usr/bin/tool"),
        file(b"up/x"),
        Entry(b"fifo", kinds.FIFO),
        file(b"usr/.wh.gone"),
        file(b"usr/.wh..wh..opq"),
        file(b"n/" + b"l" * 180),
    )
    evil = [b"..", b"/", b"../", b".wh.", b"\xff", b"\0", b"x", b"g", b"L", b"K", b"1", b"2", b"S"]

    def work() -> tuple[int, int]:
        rng = random.Random(42)
        good = bad = 0
        for n in range(2000):
            data = bytearray(base)
            for _ in range(rng.randrange(1, 5)):
                at = rng.randrange(len(data) // 512) * 512
                where = at + rng.choice([0, 1, 100, 108, 124, 136, 156, 157, 257, 263, 329, 345])
                piece = rng.choice([*evil, rng.randbytes(rng.randrange(1, 12))])
                data[where : where + len(piece)] = piece
                header = data[at : at + 512]
                if header[257:262] == b"ustar" and rng.random() < 0.9:
                    header[148:156] = b"        "
                    data[at + 148 : at + 156] = b"%06o\0 " % sum(header)
            if rng.random() < 0.1:
                del data[rng.randrange(len(data)) :]
            target = tmp_path / "cage" / "t" / str(n % 20)
            target.mkdir(parents=True, exist_ok=True)
            fd = os.open(target, os.O_RDONLY)
            try:
                apply(io.BytesIO(bytes(data)), fd, "emulated", Owners(), merge=n % 2 == 0)
                good += 1
            except KobakoError:
                bad += 1
            finally:
                os.close(fd)
        return good, bad

    good, bad = as_namespace_root(work)
    assert good > 100 and bad > 100
    assert os.listdir(tmp_path) == ["cage"] and os.listdir(tmp_path / "cage") == ["t"]
    assert {int(n) for n in os.listdir(tmp_path / "cage/t")} == set(range(20))


@pytest.mark.only("root")
def test_debian_as_gnu_tar_unpacks_it(tmp_path: Path, debian_tar: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "gnu").mkdir()
    fd = os.open(tmp_path / "ours", os.O_RDONLY)
    with open(debian_tar, "rb") as stream:
        applied = apply(stream, fd, "native")
    os.close(fd)
    subprocess.run(
        ["tar", "--numeric-owner", "--same-owner", "-xpf", debian_tar, "-C", tmp_path / "gnu"],
        check=True,
    )
    ours, gnu = facts(tmp_path / "ours"), facts(tmp_path / "gnu")
    assert ours == gnu
    assert applied.entries == len(ours) + 1  # and the root itself
