"""The tar reader and writer against GNU tar, Python's tarfile and archives made by hand."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kobako.errors import Corrupt, Invalid
from kobako.layer import entry as kinds
from kobako.layer import pax
from kobako.layer.entry import Entry
from kobako.layer.tar import TarWriter, encode, read_entries


def entries(data: bytes) -> list[tuple[Entry, bytes]]:
    return [(e, r.read()) for e, r in read_entries(io.BytesIO(data))]


def archive(*members: tuple[Entry, bytes]) -> bytes:
    sink = io.BytesIO()
    writer = TarWriter(sink)
    for member, content in members:
        writer.add(member, content)
    writer.finish()
    return sink.getvalue()


names = st.binary(min_size=1, max_size=300).filter(
    lambda n: b"\0" not in n and not n.endswith(b"/")
)


@given(
    name=names,
    link=st.binary(max_size=300).filter(lambda n: b"\0" not in n),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**32 - 2),
    gid=st.integers(0, 2**32 - 2),
    mtime=st.integers(-(2**40), 2**62),
    content=st.binary(max_size=2000),
    xattrs=st.dictionaries(
        st.sampled_from([b"user.a", b"user.b", b"security.capability"]),
        st.binary(min_size=1, max_size=90),
    ),
    kind=st.sampled_from([kinds.FILE, kinds.SYMLINK, kinds.HARDLINK, kinds.FIFO, kinds.CHAR]),
)
def test_any_entry_reads_back(name, link, mode, uid, gid, mtime, content, xattrs, kind) -> None:
    content = content if kind == kinds.FILE else b""
    link = link or b"x" if kind in (kinds.SYMLINK, kinds.HARDLINK) else b""
    major, minor = (4, 64) if kind == kinds.CHAR else (0, 0)
    member = Entry(name, kind, mode, uid, gid, len(content), mtime, link, major, minor, xattrs)
    ((back, data),) = entries(archive((member, content)))
    assert data == content
    fields = ("name", "type", "mode", "uid", "gid", "size", "mtime_ns", "link", "major", "minor")
    assert [getattr(back, f) for f in fields] == [getattr(member, f) for f in fields]
    assert (back.xattrs or {}) == xattrs


@given(name=names, mtime=st.integers(-(10**9), 10**10), content=st.binary(max_size=600))
def test_python_reads_what_we_write(name, mtime, content) -> None:
    data = archive((Entry(name, size=len(content), mtime_ns=mtime * 10**9), content))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        (info,) = tar.getmembers()
        assert os.fsencode(info.name) == name.rstrip(b"/")
        assert info.mtime == mtime
        file = tar.extractfile(info)
        assert file and file.read() == content


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_reads_what_python_writes(form: int) -> None:
    sink = io.BytesIO()
    long = "d/" * 60 + "f" * 90
    short = "a/b"
    with tarfile.open(fileobj=sink, mode="w", format=form) as tar:
        for name in (short, long if form != tarfile.USTAR_FORMAT else "p" * 90 + "/" + "n" * 90):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uid = 3, 1700000000, 3_000_000
            if form == tarfile.USTAR_FORMAT:
                info.uid = 1000
            tar.addfile(info, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "t" * 100
        if form != tarfile.USTAR_FORMAT:
            link.linkname = "t" * 300
        tar.addfile(link)
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue())) as tar:
        wanted = [(m.name, m.linkname, m.uid, m.mtime) for m in tar]
    found = entries(sink.getvalue())
    assert [
        (os.fsdecode(e.name), os.fsdecode(e.link), e.uid, e.mtime_ns // 10**9) for e, _ in found
    ] == wanted
    assert [d for _, d in found] == [b"abc", b"abc", b""]


@pytest.mark.parametrize(
    "options",
    [["-H", "gnu"], *(["-H", "posix", f"--sparse-version={v}"] for v in ("0.0", "0.1", "1.0"))],
)
def test_sparse_files_of_gnu_tar(tmp_path: Path, options: list[str]) -> None:
    source = tmp_path / "holes"
    with open(source, "wb") as file:
        for n in range(40):
            file.seek(n * 1_000_000)
            file.write(b"%d" % n * 100)
        file.truncate(50_000_000)
    made = subprocess.run(
        ["tar", "-C", tmp_path, "-S", *options, "-cf", "-", "holes"],
        capture_output=True,
        check=True,
    ).stdout
    assert len(made) < 1_000_000
    ((found, data),) = entries(made)
    assert found.name == b"holes" and found.size == 50_000_000
    assert found.sparse is not None
    whole = bytearray(found.size)
    at = 0
    for offset, length in found.sparse:
        whole[offset : offset + length] = data[at : at + length]
        at += length
    assert bytes(whole) == source.read_bytes()


def test_xattrs_of_libarchive_and_schily() -> None:
    records = {
        b"LIBARCHIVE.xattr.user.%C3%A9": b"AAEC",
        b"SCHILY.xattr.user.b": b"x=\n\0y",
    }
    assert pax.xattrs(records) == {"user.é".encode(): b"\0\1\2", b"user.b": b"x=\n\0y"}


def test_global_headers_hold_until_overridden() -> None:
    def extended(flag: bytes, **records: bytes) -> bytes:
        data = b"".join(pax.record(k.encode(), v) for k, v in records.items())
        header = bytearray(encode(Entry(b"h", size=len(data))))
        header[156:157] = flag
        header[148:156] = b"        "
        header[148:156] = b"%06o\0 " % sum(header)
        return bytes(header) + data + bytes(-len(data) % 512)

    first, second, third = (encode(Entry(n)) for n in (b"a", b"b", b"c"))
    data = extended(b"g", uid=b"77", comment=b"c") + first + extended(b"x", uid=b"5") + second
    found = entries(data + third + bytes(1024))
    assert [(e.name, e.uid) for e, _ in found] == [(b"a", 77), (b"b", 5), (b"c", 77)]


def _header(**fields: tuple[int, bytes]) -> bytes:
    header = bytearray(encode(Entry(b"victim", size=0)))
    for at, value in fields.values():
        header[at : at + len(value)] = value
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


@pytest.mark.parametrize(
    ("data", "fault", "says"),
    [
        (_header(size=(124, b"\xff" * 12)), Invalid, "size -1"),
        (_header(size=(124, b"\x80" + b"\x7f" * 11)), Invalid, "size"),
        (_header(size=(124, b"00000100000\0")), Corrupt, "truncated"),
        (_header(size=(124, b"-1\0")), Invalid, "octal"),
        (_header(size=(124, b"0o17\0")), Invalid, "octal"),
        (_header(size=(124, b"1_0\0")), Invalid, "octal"),
        (_header(uid=(108, b"\x80\0\0\0\xff\xff\xff\xff")), Invalid, "owned by 4294967295"),
        (_header(type=(156, b"x"), size=(124, b"77777777777\0")), Invalid, "extended header"),
        (_header(type=(156, b"L"), size=(124, b"00100000000\0")), Invalid, "extended header"),
        (_header(type=(156, b"?")), Invalid, "unknown type"),
        (_header(name=(0, b"\0\0\0\0\0\0")), Invalid, "not a file name"),
        (b"\x1f\x8b" + bytes(510), Corrupt, "checksum"),
        (b"garbage", Corrupt, "truncated"),
        (bytes(512) + encode(Entry(b"smuggled")) + bytes(1024), Invalid, "lone block"),
    ],
)
def test_malformed_archives(data: bytes, fault: type[Exception], says: str) -> None:
    with pytest.raises(fault, match=says):
        entries(data)


@pytest.mark.parametrize(
    "data", [b"x 1\n", b"99 a=b\n", b"3 \n", b"7 abcd\n", b"6 a=bc", b"-7 a=b\n", b"5 =a\n", b"5"]
)
def test_malformed_pax_records(data: bytes) -> None:
    with pytest.raises(Invalid, match="malformed pax"):
        pax.update({}, data)


def test_global_headers_cannot_grow_without_bound() -> None:
    records: dict[bytes, bytes] = {}
    with pytest.raises(Invalid, match="more than"):
        for n in range(100):
            pax.update(records, pax.record(b"SCHILY.xattr.user.%d" % n, b"x" * 100_000))


@given(st.integers(-(2**70), 2**70))
def test_timestamps_are_exact(ns: int) -> None:
    assert pax.timestamp(pax.format_timestamp(ns)) == ns


@given(
    st.binary(min_size=1, max_size=120).filter(lambda k: b"=" not in k), st.binary(max_size=1200)
)
def test_records_count_their_own_length(key: bytes, value: bytes) -> None:
    line = pax.record(key, value)
    assert int(line.split(b" ", 1)[0]) == len(line)
