"""A tree sent through a pipe and received elsewhere: nothing is lost, nothing gets out."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from layer_trees import as_namespace_root, facts

from kobako.errors import Conflict, Corrupt, Denied, Invalid
from kobako.layer.attributes import Attributes
from kobako.layer.receive import OfUser, receive
from kobako.layer.send import Pipe, send
from kobako.linux.ownership import XATTR, Owners


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def blocks(data: bytes) -> Callable[[], bytes]:
    stream = io.BytesIO(data)
    return lambda: stream.read(700)


def unpack(
    data: bytes,
    into: Path,
    name: bytes = b"",
    *,
    keeps: bool = True,
    kind: Attributes | None = None,
) -> None:
    with opened(into) as fd:
        receive(blocks(data), fd, kind or OfUser(), name, place=str(into), keeps=keeps)


def archive(*members: tuple[str, bytes, str]) -> bytes:
    """(name, type, link or content)"""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.mode = 0o755
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = text
                tar.addfile(info)
            else:
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))
    return sink.getvalue()


def passed(source: Path, target: Path, name: bytes = b"") -> int:
    """Sends `source` and receives it as `name` in `target`; the bytes that went through."""
    reader, writer = os.pipe()
    pipe = Pipe(writer)

    def sending() -> None:
        with opened(source if source.is_dir() else source.parent) as fd:
            send(fd, b"" if source.is_dir() else os.fsencode(source.name), pipe, place=str(source))
        os.close(writer)

    thread = threading.Thread(target=sending)
    thread.start()
    try:
        with opened(target) as fd:
            receive(
                lambda: os.read(reader, 1 << 16),
                fd,
                OfUser(),
                name,
                place=str(target),
                keeps=not name,
            )
    finally:
        os.close(reader)
        thread.join()
    return pipe.size


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "d/closed").mkdir(parents=True)
    (tree / "d/closed/f").write_text("y")
    (tree / "d/日本語").write_bytes(b"x" * 3_000_000)
    (tree / "d/empty").touch()
    os.link(tree / "d/empty", tree / "again")
    (tree / "link").symlink_to("/etc/../su")
    (tree / ".wh.plain").write_text("no whiteout")
    (tree / ("n" * 200)).mkdir()
    with open(os.fsencode(tree) + b"/\xff\n", "wb"):
        pass
    os.mkfifo(tree / "pipe", 0o640)
    os.setxattr(tree / "d/empty", "user.a", b"1")
    os.utime(tree / "link", ns=(10**18, 10**18), follow_symlinks=False)
    for path in (tree / "d/日本語", tree / "d/closed/f", tree / "d/closed", tree / "d", tree):
        os.utime(path, ns=(10**18, 10**18))
    (tree / "d/closed").chmod(0o555)
    return tree


def test_a_tree_comes_through_whole(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    passed(tree, target, b"named")
    assert facts(target / "named") == facts(tree)
    assert (target / "named/d/closed").stat().st_mode & 0o777 == 0o555
    assert (target / "named/d").stat().st_mtime_ns == 10**18
    assert (target / "named/link").lstat().st_mtime_ns == 10**18
    assert (target / "named/again").samefile(target / "named/d/empty")
    assert os.getxattr(target / "named/again", "user.a") == b"1"
    assert (target / "named/.wh.plain").read_text() == "no whiteout"
    assert (target / "named/d/日本語").read_bytes() == b"x" * 3_000_000
    (target / "named/d/closed").chmod(0o755)
    (tree / "d/closed").chmod(0o755)


def test_one_file_takes_another_name(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("one")
    (tmp_path / "t").mkdir()
    assert passed(tmp_path / "f", tmp_path / "t", b"g") == 2048
    assert (tmp_path / "t/g").read_text() == "one" and os.listdir(tmp_path / "t") == ["g"]


def test_what_is_there_is_replaced_and_links_are_not_followed(tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "target", tmp_path / "elsewhere"
    target.mkdir()
    elsewhere.write_text("untouched")
    (target / "f").symlink_to(elsewhere)
    os.link(elsewhere, target / "g")
    unpack(archive(("f", tarfile.REGTYPE, "new"), ("g", tarfile.REGTYPE, "new")), target)
    assert elsewhere.read_text() == "untouched"
    assert not (target / "f").is_symlink() and (target / "g").read_text() == "new"


@pytest.mark.parametrize(
    "members",
    [
        [("l", tarfile.SYMTYPE, "../out"), ("l/f", tarfile.REGTYPE, "x")],
        [("l", tarfile.SYMTYPE, "/"), ("l/../../out/f", tarfile.REGTYPE, "x")],
        [("l", tarfile.SYMTYPE, "{out}"), ("l/f", tarfile.REGTYPE, "x")],
        [("l", tarfile.SYMTYPE, "{out}/secret"), ("h", tarfile.LNKTYPE, "l"), ("h", b"0", "x")],
        [("h", tarfile.LNKTYPE, "../out/secret"), ("h", tarfile.REGTYPE, "x")],
        [("/../../out/f", tarfile.REGTYPE, "x")],
        [("l", tarfile.SYMTYPE, "{out}"), ("l", tarfile.DIRTYPE, ""), ("l/f", b"0", "x")],
    ],
)
def test_nothing_gets_out(tmp_path: Path, members: list[tuple[str, bytes, str]]) -> None:
    out, target = tmp_path / "out", tmp_path / "target"
    out.mkdir()
    target.mkdir()
    (out / "secret").write_text("untouched")
    data = archive(*((n, k, t.format(out=out)) for n, k, t in members))
    try:
        unpack(data, target)
    except (Invalid, Conflict):
        pass
    assert os.listdir(out) == ["secret"] and (out / "secret").read_text() == "untouched"
    assert (out / "secret").stat().st_nlink == 1


def test_words_for_what_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "t/d").mkdir(parents=True)
    (tmp_path / "t/f").touch()
    there = str(tmp_path / "t")
    with pytest.raises(Conflict) as told:
        unpack(archive(("d", tarfile.REGTYPE, "x")), tmp_path / "t")
    said = f'cannot overwrite directory "{there}/d" with non-directory "{there}"'
    assert told.value.message == said
    with pytest.raises(Conflict) as told:
        unpack(archive(("f", tarfile.DIRTYPE, "")), tmp_path / "t")
    said = f'cannot overwrite non-directory "{there}/f" with directory "{there}"'
    assert told.value.message == said
    with pytest.raises(Invalid) as refused:
        unpack(archive(("../../x", tarfile.REGTYPE, "x")), tmp_path / "t")
    assert refused.value.message == f'"../../x" is outside of "{there}"'
    with pytest.raises(Corrupt):
        unpack(archive(("d/x", tarfile.REGTYPE, "x" * 2000))[:1500], tmp_path / "t")


def test_the_top_stays_or_changes(tmp_path: Path) -> None:
    source, target = tmp_path / "s", tmp_path / "t"
    source.mkdir(mode=0o750)
    target.mkdir(mode=0o711)
    passed(source, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o711
    passed(source, target, b"s")
    assert stat.S_IMODE((target / "s").stat().st_mode) == 0o750


def test_owners_as_the_emulated_format_keeps_them(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for name, kind in (("f", tarfile.REGTYPE), ("l", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.uid, info.gid, info.linkname = kind, 12, 34, "f"
            tar.addfile(info)
    data = sink.getvalue()
    (tmp_path / "t").mkdir()

    def work() -> tuple[bytes, dict[bytes, tuple[int, int]]]:
        owners = Owners()
        unpack(data, tmp_path, b"t", kind=Attributes("emulated", owners))
        return os.getxattr(tmp_path / "t/f", XATTR), dict(owners)

    assert as_namespace_root(work) == (b"12:34", {b"t/l": (12, 34)})


def test_a_hole_is_no_traffic(tmp_path: Path) -> None:
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(5 << 30)
        file.seek(3 << 30)
        file.write(b"here")
    (tmp_path / "t").mkdir()
    assert passed(tmp_path / "huge", tmp_path / "t", b"h") < 3 << 20
    made = (tmp_path / "t/h").stat()
    assert made.st_size == 5 << 30 and made.st_blocks * 512 < 3 << 20
    with open(tmp_path / "t/h", "rb") as file:
        file.seek(3 << 30)
        assert file.read(4) == b"here"


@pytest.mark.only("user")
def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "s/d").mkdir(parents=True)
    (tmp_path / "s/d/f").touch(mode=0)
    sink = os.open(os.devnull, os.O_WRONLY)
    with opened(tmp_path / "s") as fd, pytest.raises(Denied) as told:
        send(fd, b"", Pipe(sink), place="/place")
    assert told.value.message == "open /place/d/f: permission denied"
    (tmp_path / "s/d").chmod(0)
    with opened(tmp_path / "s") as fd, pytest.raises(Denied) as told:
        send(fd, b"", Pipe(sink), place="/place")
    assert told.value.message == "open /place/d: permission denied"
    (tmp_path / "s/d").chmod(0o755)
    os.close(sink)
