"""Packing: reproducible, complete, and the inverse of unpacking."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import stat
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layer_trees import as_namespace_root

from kobako.errors import Invalid, NotFound
from kobako.layer import codec
from kobako.layer import entry as kinds
from kobako.layer.apply import apply
from kobako.layer.change import Change
from kobako.layer.entry import Entry
from kobako.layer.export import everything, export
from kobako.layer.pack import Packed, pack
from kobako.layer.tar import TarWriter, read_entries
from kobako.layer.target import clean
from kobako.linux.ownership import Owners

FORM = "native" if os.geteuid() == 0 else "emulated"


def packed(tree: Path, changes: list[Change] | None = None, **options) -> tuple[Packed, bytes]:
    fd = os.open(tree, os.O_RDONLY)
    sink = io.BytesIO()
    try:
        found = everything(fd, options.get("form", FORM)) if changes is None else changes
        result = pack(fd, found, sink, **{"codec": "plain", "form": FORM, **options})
    finally:
        os.close(fd)
    return result, sink.getvalue()


def members(data: bytes) -> list[tuple]:
    found = []
    for e, reader in read_entries(io.BytesIO(data)):
        content = hashlib.sha256(reader.read()).digest() if e.size else b""
        xattrs = tuple(sorted((e.xattrs or {}).items()))
        when = e.mtime_ns // 10**9 if e.type != kinds.HARDLINK else 0
        mode = e.mode if e.type != kinds.SYMLINK else 0
        found.append(
            (
                *(clean(e.name), e.type, mode, e.uid, e.gid, e.size, when, e.link),
                *(e.major, e.minor, content, xattrs),
            )
        )
    return found


def test_digests_are_of_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(3_000_000))
    (tmp_path / "small").write_bytes(b"x")
    plain, tar = packed(tmp_path)
    for name in ("gzip", "zstd"):
        result, blob = packed(tmp_path, codec=name)
        assert result.diff_id == plain.diff_id == "sha256:" + hashlib.sha256(tar).hexdigest()
        assert result.digest == "sha256:" + hashlib.sha256(blob).hexdigest()
        assert (result.size, result.diff_size) == (len(blob), len(tar))
        assert result.media_type.endswith("+" + name)
        stream, _ = codec.open_reader(io.BytesIO(blob))
        assert stream.read() == tar


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    for n, order in enumerate(("abc", "cba")):
        tree = tmp_path / str(n)
        tree.mkdir()
        for name in order:
            (tree / name).write_text(name)
            os.utime(tree / name, (1, 1))
        os.utime(tree, (1, 1))
        tree.chmod(0o755)
    assert packed(tmp_path / "0") == packed(tmp_path / "1")


def test_parents_come_along_with_their_modes(tmp_path: Path) -> None:
    (tmp_path / "tmp/deep").mkdir(parents=True)
    (tmp_path / "tmp").chmod(0o1777)
    (tmp_path / "tmp/deep/f").write_text("x")
    (tmp_path / "other").write_text("x")
    changes = [Change("/tmp/gone", "D"), Change("/tmp/deep/f", "A")]
    _, data = packed(tmp_path, changes)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["tmp", "tmp/deep", "tmp/deep/f", "tmp/.wh.gone"]
        assert tar.getmember("tmp").mode == 0o1777


def test_opaque_hard_links_and_sockets(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/one").write_text("x")
    os.link(tmp_path / "d/one", tmp_path / "d/two")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(tmp_path)
        listener.bind("sock")
        os.chdir(here)
    changes = [Change("/d", "C", opaque=True), Change("/sock", "A")]
    changes += [Change("/d/two", "A"), Change("/d/one", "A")]
    _, data = packed(tmp_path, changes)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["d", "d/.wh..wh..opq", "d/one", "d/two"]
        assert tar.getmember("d/two").linkname == "d/one"


def test_names_no_layer_can_say_and_names_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / ".wh.mine").write_text("x")
    with pytest.raises(Invalid, match=r"\.wh\.mine"):
        packed(tmp_path)
    with pytest.raises(NotFound, match="/missing"):
        packed(tmp_path, [Change("/missing", "A")])


def test_what_a_container_wrote_in_our_notes(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    os.setxattr(tmp_path / "f", "user.kobako.own", b"garbage")
    assert packed(tmp_path, form="native")[0].size  # there it means nothing
    for form in ("mapped", "emulated"):
        with pytest.raises(Invalid, match=r"pack '/f': user\.kobako\.own holds b'garbage'"):
            packed(tmp_path, form=form)


def test_links_out_of_the_tree_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("key")
    (tmp_path / "tree/d").symlink_to("../secret")
    with pytest.raises(Exception, match=r"/d/key|'d'"):
        packed(tmp_path / "tree", [Change("/d/key", "A")])


def test_epoch_clamps_times(tmp_path: Path) -> None:
    for name, when in (("old", 5), ("new", 2_000_000_000)):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (when, when))
    _, data = packed(tmp_path, epoch=1000)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert {m.name: m.mtime for m in tar if m.isfile()} == {"old": 5, "new": 1000}


def test_a_failing_sink_is_reported_and_leaves_no_thread(tmp_path: Path) -> None:
    import threading

    class Full:
        def write(self, data: bytes, /) -> int:
            raise OSError(28, "No space left on device")

    (tmp_path / "big").write_bytes(os.urandom(20_000_000))
    before = threading.active_count()
    fd = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(OSError, match="space"):  # the sink's own error: the tree is not at fault
        pack(fd, everything(fd), Full(), "plain")
    os.close(fd)
    assert threading.active_count() == before


def _round_trip(data: bytes, place: str, form: str) -> bytes:
    tree = os.path.join(place, "t")
    os.mkdir(tree)
    fd = os.open(tree, os.O_RDONLY)
    owners = Owners()
    apply(io.BytesIO(data), fd, form, owners)
    sink = io.BytesIO()
    export(fd, sink, form, owners)
    os.close(fd)
    return sink.getvalue()


component = st.binary(min_size=1, max_size=8).filter(
    lambda n: (
        not {b"/", b"\0"} & {bytes([c]) for c in n}
        and n not in (b".", b"..")
        and not n.startswith(b".wh.")
    )
)
leaf = st.one_of(
    st.tuples(st.just(kinds.FILE), st.binary(max_size=2000)),
    st.tuples(
        st.just(kinds.SYMLINK), st.binary(min_size=1, max_size=20).filter(lambda b: 0 not in b)
    ),
    st.tuples(st.just(kinds.FIFO), st.just(b"")),
    st.tuples(st.just(kinds.CHAR), st.just(b"")),
)
trees = st.recursive(
    leaf, lambda t: st.dictionaries(component, t, max_size=4), max_leaves=12
).filter(lambda t: isinstance(t, dict))
owner = st.sampled_from([(0, 0), (0, 42), (33, 33), (1000, 100)])


@st.composite
def layers(draw) -> list[tuple[Entry, bytes]]:
    found: list[tuple[Entry, bytes]] = []

    def walk(tree, path: bytes) -> None:
        uid, gid = draw(owner)
        mode = draw(st.integers(0, 0o7777))
        stamp = draw(st.integers(0, 2**31)) * 10**9
        if isinstance(tree, dict):
            found.append((Entry(path or b"./", kinds.DIRECTORY, mode, uid, gid, 0, stamp), b""))
            for name in sorted(tree):
                walk(tree[name], path + b"/" + name if path else name)
            return
        kind, content = tree
        entry = Entry(path, kind, mode, uid, gid, 0, stamp)
        if kind == kinds.SYMLINK:
            entry.link, entry.mode = content, 0o777
            content = b""
        elif kind == kinds.CHAR:
            entry.major, entry.minor = 5, draw(st.integers(0, 255))
        elif kind == kinds.FILE:
            entry.size = len(content)
            if draw(st.booleans()):
                entry.xattrs = {b"user.note": draw(st.binary(min_size=1, max_size=30))}
        found.append((entry, content))

    walk(draw(trees), b"")
    return found


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(layer=layers())
def test_random_trees_round_trip(layer: list[tuple[Entry, bytes]]) -> None:
    sink = io.BytesIO()
    writer = TarWriter(sink)
    for entry, content in layer:
        writer.add(entry, content)
    writer.finish()

    def work() -> list[bytes]:
        forms = ["native", "emulated"] if os.getuid() == 0 and FORM == "native" else ["emulated"]
        results = []
        for form in forms:
            place = tempfile.mkdtemp()
            results.append(_round_trip(sink.getvalue(), place, form))
            from kobako.linux import fs

            fs.remove_tree(place)
        return results

    for back in as_namespace_root(work):
        assert sorted(members(back)) == sorted(members(sink.getvalue()))


def test_debian_round_trip(tmp_path: Path, debian_tar: Path) -> None:
    """In the form of whoever runs the suite: native as root, emulated as the others."""
    with open(debian_tar, "rb") as stream:
        data = stream.read()
    result = as_namespace_root(lambda: sorted(members(_round_trip(data, str(tmp_path), FORM))))
    wanted = sorted(members(data))
    assert len(result) == len(wanted)
    # hard links may be told the other way round: the first in path order is the file
    assert [m[0] for m in result] == [m[0] for m in wanted]
    loose = [m for m in wanted if m[1] != kinds.HARDLINK and stat.S_ISREG(0o100000)]
    there = set(result)
    assert sum(m in there for m in loose) >= len(loose) - 20
