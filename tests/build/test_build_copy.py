"""COPY and ADD: destinations, directories, symlinks, wildcards, owners, modes, archives."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest
from building import Site

from kobako.build.context import Context
from kobako.build.dockerfile import StepFailed
from kobako.build.ops.copying import Copier
from kobako.build.ops.fresh import Fresh
from kobako.build.ops.modes import Mode
from kobako.errors import Invalid

PASSWD = "root:x:0:0::/root:/bin/sh\nweb:x:33:44::/:/bin/sh\n"
GROUP = "root:x:0:\nstaff:x:50:\n"


def files(site: Site, dockerfile: str) -> dict[str, str]:
    """The files and links the build added: path → content or "-> target"."""
    tree = site.tree(site.build("FROM scratch\n" + dockerfile))
    return {
        name: entry[3].decode() if entry[0] == "file" else f"-> {entry[2]}"
        for name, entry in tree.items()
        if entry[0] != "dir"
    }


def one(site: Site, dockerfile: str, name: str) -> tuple[Any, ...]:
    return site.tree(site.build("FROM scratch\n" + dockerfile))[name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY a /", {"a": "A"}),
        ("COPY a /x", {"x": "A"}),
        ("COPY a /x/", {"x/a": "A"}),
        ("COPY a x/y/z", {"x/y/z": "A"}),
        ("COPY a .", {"a": "A"}),
        ("WORKDIR /w\nCOPY a .", {"w/a": "A"}),
        ("WORKDIR /w\nCOPY a ./", {"w/a": "A"}),
        ("WORKDIR /w\nCOPY a ../b", {"b": "A"}),
        ("COPY a d/b /x/", {"x/a": "A", "x/b": "B"}),
        ("COPY d /x", {"x/b": "B", "x/s/c": "C"}),
        ("COPY d /x/", {"x/b": "B", "x/s/c": "C"}),
        ("COPY d/ /", {"b": "B", "s/c": "C"}),
        ("COPY . /all/", {"all/a": "A", "all/d/b": "B", "all/d/s/c": "C", "all/e1": "1",
                          "all/e2": "2"}),
        ("COPY e* /x/", {"x/e1": "1", "x/e2": "2"}),
        ("COPY e? /x/", {"x/e1": "1", "x/e2": "2"}),
        ("COPY e[2-9] /x/", {"x/e2": "2"}),
        ("COPY d/*/c /x/", {"x/c": "C"}),
        ("COPY no* /x/", {}),
        ("COPY d/s/../b /x", {"x": "B"}),
        ("COPY ../../a /x", {"x": "A"}),
        ("COPY a /x\nCOPY d/b /x", {"x": "B"}),
        ("COPY --exclude=s d /x", {"x/b": "B"}),
        ("COPY --exclude=**/c d /x", {"x/b": "B"}),
        ("COPY --parents d/s/c /x", {"x/d/s/c": "C"}),
        ("COPY --parents d/./s/c /x/", {"x/s/c": "C"}),
        ("COPY --parents **/c /x/", {"x/d/s/c": "C"}),
        ('COPY ["a", "/with blank"]', {"with blank": "A"}),
    ],
)  # fmt: skip
def test_where_files_end_up(site: Site, text: str, expected: dict[str, str]) -> None:
    site.put({"a": "A", "d/b": "B", "d/s/c": "C", "e1": "1", "e2": "2"})
    assert files(site, text) == expected


def test_modes_and_owners(site: Site) -> None:
    site.put({"x": "1", "d/y": "2"})
    os.chmod(site.context / "x", 0o4755)
    os.chmod(site.context / "d", 0o711)
    assert one(site, "COPY x /x", "x")[1:3] == ("0o4755", (0, 0))
    assert one(site, "COPY --chmod=640 x /x", "x")[1] == "0o640"
    assert one(site, "COPY --chmod=go-x,u-s x /x", "x")[1] == "0o744"
    assert one(site, "COPY --chown=5 x /x", "x")[2] == (5, 5)
    assert one(site, "COPY --chown=5:6 x /n/x", "n")[2] == (5, 6)
    assert one(site, "COPY d /t", "t")[1] == "0o755"  # the destination, not the source's own mode
    assert one(site, "COPY . /t", "t/d")[1] == "0o711"


def test_names_are_looked_up_in_the_image(site: Site) -> None:
    site.base("base", {"etc/passwd": PASSWD, "etc/group": GROUP})
    site.put({"x": "1"})
    for owner, expected in (
        ("web", (33, 44)),
        ("web:staff", (33, 50)),
        ("7:staff", (7, 50)),
        ("web:9", (33, 9)),
        ("nobody", (0, 0)),
        ("web:nobody", (33, 44)),
        ("web:", (33, 0)),
        ("+7:+8", (7, 8)),
        ("4294967295", (0, 0)),  # no number for BuildKit: a name that nobody has
        ("\u00b2", (0, 0)),
        ("9" * 5000, (0, 0)),
    ):
        tree = site.tree(site.build(f"FROM base\nCOPY --chown={owner} x /x\n"))
        assert tree["x"][2] == expected
    with pytest.raises(StepFailed, match="there is no /etc/passwd"):
        site.build("FROM scratch\nCOPY --chown=web x /x\n")
    assert site.tree(site.build("FROM scratch\nCOPY --chown=root:root x /x\n"))["x"][2] == (0, 0)
    with pytest.raises(StepFailed, match=r"File name too long: \S+nnn\.\.\. \(5\d+ characters\)$"):
        site.build(f"FROM base\nCOPY x /{'n' * 5000}\n")
    made = site.tree(site.build("FROM base\nUSER web\nWORKDIR /home/web\n"))
    assert made["home/web"] == ("dir", "0o755", (33, 44))
    assert made["home"][2] == (33, 44)


def test_owners_from_a_stage_are_kept(site: Site) -> None:
    site.put({"x": "1"})
    tree = site.tree(
        site.build("FROM scratch AS a\nCOPY --chown=5:6 x /x\nFROM scratch\nCOPY --from=a /x /y\n")
    )
    assert tree["y"][2] == (5, 6)


def test_symlinks_in_the_context(site: Site) -> None:
    outside = site.context.parent / "secret"
    outside.write_text("S")
    site.put({"d/f": "F", "link": "-> d/f", "dir": "-> d", "up": "-> ../secret",
              "abs": f"-> {outside}", "d/in": "-> ../../secret"})  # fmt: skip
    assert files(site, "COPY link /x") == {"x": "F"}
    assert files(site, "COPY dir /x") == {"x/f": "F", "x/in": "-> ../../secret"}
    assert files(site, "COPY dir/f /x") == {"x": "F"}
    for source in ("up", "abs", "d/in"):
        with pytest.raises(StepFailed, match="not found in the build context"):
            site.build(f"FROM scratch\nCOPY {source} /x\n")


def test_symlinks_in_the_image_stay_inside(site: Site) -> None:
    outside = site.context.parent / "outside"
    outside.mkdir()
    site.base("base", {"real/": "", "abs": "-> /real", "rel": "-> real", "gone": "-> /made/here",
                       "escape": f"-> {outside}", "up": "-> ../../../real", "file": "-> /real/f",
                       "real/f": "old"})  # fmt: skip
    site.put({"a": "A", "d/b": "B"})
    for target, place in (
        ("/abs/", "real/a"),
        ("/rel/a", "real/a"),
        ("/gone/", "made/here/a"),
        ("/up/", "real/a"),
        ("/escape/", f"{str(outside).lstrip('/')}/a"),
        ("/file", "real/f"),
    ):
        tree = site.tree(site.build(f"FROM base\nCOPY a {target}\n"))
        assert tree[place][3] == b"A", target
    assert list(outside.iterdir()) == []
    tree = site.tree(site.build("FROM base\nWORKDIR /abs/w\n"))
    assert tree["real/w"][0] == "dir"


def test_directories_do_not_replace_files_nor_files_directories(site: Site) -> None:
    site.base("base", {"dir/x": "1", "file": "2", "t/link": "-> /dir"})
    site.put({"a": "A", "c/link/z": "Z", "n/dir": "not a directory"})
    with pytest.raises(StepFailed, match="/file exists and is not a directory"):
        site.build("FROM base\nCOPY a /file/\n")
    with pytest.raises(StepFailed, match="cannot copy to non-directory: /t/link"):
        site.build("FROM base\nCOPY c /t/\n")
    with pytest.raises(StepFailed, match="cannot replace the directory /dir with a file"):
        site.build("FROM base\nCOPY n /\n")


def test_hard_links_are_kept_and_times_are_the_epoch(site: Site) -> None:
    site.put({"a": "A"})
    os.link(site.context / "a", site.context / "b")
    os.utime(site.context / "a", ns=(10**18, 10**18 + 5))
    path = site.path(site.build("FROM scratch\nCOPY . /\n"))
    assert (path / "a").stat().st_mtime == 315532800


def test_a_device_in_a_new_directory_is_made_as_the_tree_can(tmp_path: Path) -> None:
    (tmp_path / "D.dockerignore").write_text("*\n!null\n")
    made = []

    class Tree:
        path = str(tmp_path / "new")

        def owner(self, path: str) -> tuple[int, int]:
            return 0, 0

        def make_device(self, path: str, kind: int, rdev: int) -> None:
            made.append((path, kind, rdev))
            (tmp_path / "new" / path).touch()

    (tmp_path / "new").mkdir()
    context = Context.open_directory("/dev", str(tmp_path / "D"))
    top = context.lookup("")
    assert top is not None
    fresh = Fresh(context, None, 0)
    assert not fresh.add("below", top)  # that is not for every way of copying
    Copier(Tree(), time=0, fresh=fresh).place(context, top, "", "/below/")  # type: ignore[arg-type]
    context.close()
    assert made == [("below/null", stat.S_IFCHR, os.makedev(1, 3))]


def test_a_fifo_is_copied_unread_and_a_socket_is_an_empty_file(site: Site) -> None:
    import socket

    site.put({"a": "A"})
    os.mkfifo(site.context / "fifo")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(site.context / "socket"))
        result = site.build("FROM scratch\nCOPY . /\n")
    assert stat.S_ISFIFO(os.lstat(site.path(result) / "fifo").st_mode)
    made = os.lstat(site.path(result) / "socket")
    assert stat.S_ISREG(made.st_mode) and made.st_size == 0
    assert sorted(os.listdir(site.path(result))) == ["a", "fifo", "socket"]


@pytest.mark.parametrize("pattern", ["[a-]", "d[\\f"])
def test_a_bad_pattern_is_told_with_its_line(site: Site, pattern: str) -> None:
    site.base()
    site.put({"a": "x"})
    with pytest.raises(StepFailed, match="syntax error in pattern") as caught:
        site.build(f"FROM base\nCOPY {pattern} /x/\n")
    assert caught.value.line == 2


def test_dockerignore(site: Site) -> None:
    site.put({"a": "A", "b.log": "B", "d/c.log": "C", "d/keep.log": "K", "e/f": "F", "e/g": "G",
              ".dockerignore": "# x\n\n**/*.log\n!d/keep.log\ne\n!e/g\n.docker*"})  # fmt: skip
    assert files(site, "COPY . /") == {"a": "A", "d/keep.log": "K", "e/g": "G"}
    with pytest.raises(StepFailed, match=r"not found .*excluded by \.dockerignore"):
        site.build("FROM scratch\nCOPY b.log /\n")


def test_the_cache_sees_bytes_and_modes_not_times(site: Site) -> None:
    site.put({"a": "A", "d/b": "B", "other": "1"})
    text = "FROM scratch\nCOPY a d /x/\n"
    site.build(text)

    def cached() -> bool:
        site.build(text)
        return "change" not in site.worker.log

    assert cached()
    os.utime(site.context / "a", ns=(1, 1))
    assert cached()
    site.put({"other": "2"})
    assert cached()
    os.chmod(site.context / "a", 0o600)
    assert not cached()
    site.put({"d/b": "C"})
    assert not cached()
    site.put({"d/new": ""})
    assert not cached()
    (site.context / "d/new").unlink()
    assert cached()


def test_the_cache_sees_where_links_lead_and_what_things_are(site: Site) -> None:
    site.put({"d/link": "-> one", "d/file": "x"})
    text = "FROM scratch\nCOPY d /d/\n"
    site.build(text)
    (site.context / "d/link").unlink()
    site.put({"d/link": "-> two"})
    site.build(text)
    assert "change" in site.worker.log
    (site.context / "d/link").unlink()
    site.put({"d/link": "two"})  # a file that holds what the link said
    site.build(text)
    assert "change" in site.worker.log
    (site.context / "d/file").rename(site.context / "d/other")
    site.build(text)
    assert "change" in site.worker.log


def test_a_change_that_hides_from_times_and_sizes_is_seen(site: Site) -> None:
    site.put({f"d/f{n}": f"content {n:03d}" for n in range(100)})
    text = "FROM scratch\nCOPY d /d/\n"
    site.build(text)
    before = os.stat(site.context / "d/f50")
    site.put({"d/f50": "content XXX"})
    os.utime(site.context / "d/f50", ns=(before.st_atime_ns, before.st_mtime_ns))
    built = site.build(text)
    assert (site.path(built) / "d/f50").read_text() == "content XXX"


def _tar(mode: str, **members: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.uid, member.gid, member.mtime, member.mode = 3, 4, 1000, 0o640
            if content.startswith("-> "):
                member.type, member.linkname = tarfile.SYMTYPE, content[3:]
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content.encode()))
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zstd"])
def test_add_unpacks_archives(site: Site, mode: str) -> None:
    data = _tar("w" if mode == "zstd" else mode, a="A", d__b="B", d__l="-> b")
    if mode == "zstd":
        import sys

        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd

        data = zstd.compress(data)
    (site.context / "t").write_bytes(data)
    tree = site.tree(site.build("FROM scratch\nADD t /x\n"))
    assert tree["x/a"] == ("file", "0o640", (3, 4), b"A")
    assert tree["x/d"] == ("dir", "0o755", (0, 0))
    assert tree["x/d/l"][2] == "b"
    assert site.tree(site.build("FROM scratch\nADD --chown=9 t /x\n"))["x/a"][2] == (9, 9)
    assert site.tree(site.build("FROM scratch\nCOPY t /x\n"))["x"][3] == data
    assert site.tree(site.build("FROM scratch\nADD --unpack=false t /x\n"))["x"][3] == data


def test_hostile_archives(site: Site) -> None:
    outside = site.context.parent / "outside"
    outside.mkdir()
    (site.context / "t").write_bytes(_tar("w", l=f"-> {outside}", l__evil="E", up="-> ../.."))
    with pytest.raises(StepFailed, match="behind a link to nowhere"):
        site.build("FROM scratch\nADD t /x/\n")
    assert list(outside.iterdir()) == []
    (site.context / "t").write_bytes(_tar("w", **{"..__evil": "E"}))
    tree = site.tree(site.build("FROM scratch\nADD t /x/\n"))
    assert tree["x/evil"][3] == b"E"
    whole = _tar("w:gz", a="A" * 9999)
    damaged = whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]
    for data in (whole[:-20], damaged):
        (site.context / "t").write_bytes(data)
        with pytest.raises(StepFailed, match="cannot unpack t"):
            site.build("FROM scratch\nADD t /x/\n")
    with tarfile.open(site.context / "t", "w") as tar:
        link = tarfile.TarInfo("l")
        link.type, link.linkname = tarfile.LNKTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(StepFailed, match="'l' is a hard link to '/etc/passwd', which is no file"):
        site.build("FROM scratch\nADD t /x/\n")


def test_holes_stay_holes(site: Site) -> None:
    with open(site.context / "hole", "wb") as file:
        file.truncate(32 << 20)
        file.seek(9 << 20)
        file.write(b"in the middle")
    for source in ("hole", "."):  # into what is there, and into a new directory
        result = site.build(f"FROM scratch\nCOPY {source} /x/\n")
        info = os.stat(site.path(result) / "x/hole")
        assert info.st_size == 32 << 20
        assert info.st_blocks * 512 < 1 << 20
        with open(site.path(result) / "x/hole", "rb") as file:
            file.seek(9 << 20)
            assert file.read(14) == b"in the middle\0"


def test_add_copies_what_is_no_archive(site: Site) -> None:
    site.put({"a": "A" * 600})
    assert files(site, "ADD a /") == {"a": "A" * 600}


def test_symbolic_modes() -> None:
    assert Mode("755").of(0o600, False) == 0o755
    assert Mode("u=rwX,go=rX").of(0o600, True) == 0o755
    assert Mode("u=rwX,go=rX").of(0o600, False) == 0o644
    assert Mode("u=rwX,go=rX").of(0o700, False) == 0o755
    assert Mode("+x").of(0o644, False) == 0o755
    assert Mode("g=u").of(0o640, False) == 0o660
    assert Mode("a+t,u+s").of(0o755, True) == 0o5755
    for wrong in ("9", "77777", "u", "u+q", "", "+x,"):
        with pytest.raises(Invalid):
            Mode(wrong)
