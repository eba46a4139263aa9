"""Wildcards, `.dockerignore`, the context's size and remembered digests."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_cache import MemoryCache

from kobako.build import context as context_module
from kobako.build import survey as surveying
from kobako.build.context import Context
from kobako.build.dockerfile.source import Problem
from kobako.build.files import Entry
from kobako.build.ignore import parse_ignore
from kobako.build.match import Pattern, match
from kobako.build.memory import Memory
from kobako.build.ops.choosing import TransferSpec
from kobako.build.ops.chosen_digest import digest_chosen
from kobako.build.survey import Seen, Survey
from kobako.build.wildcards import has_wildcards
from kobako.errors import Invalid, Unavailable
from kobako.fastjson import dumps, loads
from own_children import own_children


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("abc", "abc", True), ("*", "abc", True), ("*c", "abc", True), ("a*", "ab/c", False),
        ("a*/b", "abc/b", True), ("a*b?c*x", "abxbbxdbxebxczzx", True), ("a*b?c*x",
        "abxbbxdbxebxczzy", False), ("ab[c]", "abc", True), ("ab[b-d]", "abc", True),
        ("ab[e-g]", "abc", False), ("ab[^c]", "abc", False), ("ab[^e-g]", "abc", True),
        ("a\\*b", "a*b", True), ("a\\*b", "ab", False), ("a?b", "a☺b", True),
        ("a[^a]b", "a☺b", True), ("a???b", "a☺b", False), ("[a-ζ]*", "α", True),
        ("*[a-ζ]", "A", False), ("a?b", "a/b", False), ("a*b", "a/b", False),
        ("[\\]a]", "]", True), ("[\\-x]", "-", True), ("*x", "xxx", True), ("", "", True),
        ("[", "a", None), ("[^", "a", None), ("[]a]", "]", None), ("[-]", "-", None),
        ("[x-]", "x", None), ("a\\", "a", None), ("[a-b-c]", "a", None),
    ],
)  # fmt: skip
def test_match_is_go_filepath_match(pattern: str, name: str, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(Problem):
            match(pattern, name)
    else:
        assert match(pattern, name) is expected


def test_no_pattern_takes_for_ever() -> None:
    assert not match("*a" * 40 + "b", "a" * 2000)
    assert not Pattern("**/" * 30 + "x", double_star=True).matches("a/" * 500 + "y")


def test_wildcards_can_be_escaped() -> None:
    assert has_wildcards("a*") and has_wildcards("[a") and not has_wildcards("a\\*\\[")


@pytest.mark.parametrize(
    ("patterns", "path", "excluded"),
    [
        ("a", "a", True), ("a", "a/b", True), ("a", "b/a", False), ("/a", "a", True),
        ("a/", "a/b", True), ("*/a", "b/a", True), ("*/a", "a", False), ("**/a", "a", True),
        ("**/a", "x/y/a", True), ("**/*.go", "x/y.go", True), ("a/**", "a", False),
        ("a/**", "a/b/c", True), ("**", "a/b", True), ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True), ("*.md\n!README.md", "README.md", False),
        ("*.md\n!README.md\nREADME.*", "README.md", True), ("!a\n*", "a", True),
        ("a\n!a/b", "a/b", False), ("a\n!a/b", "a/c", True), ("*\n!x/y", "x/y", False),
        ("./a", "a", True), ("b/../a", "a", True), ("# a", "# a", False), ("  a  ", "a", True),
        ("! a\n", "a", False), ("a?c", "abc", True), ("*\n!**/keep\n", "d/e/keep", False),
        ("\ufeffa", "a", True),
    ],
)  # fmt: skip
def test_ignore(patterns: str, path: str, excluded: bool) -> None:
    ignore = parse_ignore(patterns)
    verdict = ignore.top
    parts = path.split("/")
    for depth in range(1, len(parts) + 1):
        verdict = ignore.verdict("/".join(parts[:depth]), verdict)
    assert verdict.excluded is excluded


def test_excluded_directories_are_not_read_unless_something_below_may_come_back() -> None:
    ignore = parse_ignore("node_modules\nvendor\n!vendor/keep/x\nother\n!**/deep")
    assert ignore.may_take_back_below("vendor")
    assert ignore.may_take_back_below("other")
    assert not parse_ignore("node_modules\n!vendor/x").may_take_back_below("node_modules")


def test_bad_patterns_are_named() -> None:
    with pytest.raises(Invalid, match=r"^\.dockerignore: syntax error in pattern \[a"):
        parse_ignore("[a")
    with pytest.raises(Invalid, match="illegal exclusion pattern"):
        parse_ignore("!")


def test_the_dockerfiles_own_ignore_file_comes_first(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    (tmp_path / ".dockerignore").write_text("a\n")
    (tmp_path / "x.Dockerfile.dockerignore").write_text("b\n")
    plain = Context.open_directory(str(tmp_path), str(tmp_path / "Dockerfile"))
    own = Context.open_directory(str(tmp_path), str(tmp_path / "x.Dockerfile"))
    assert plain.lookup("a") is None and plain.lookup("b")
    assert own.lookup("a") and own.lookup("b") is None
    plain.close()
    own.close()


def test_an_ignore_file_that_is_none_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".dockerignore")
    with pytest.raises(Invalid, match=r"cannot read .*\.dockerignore: it is not a regular file"):
        Context.open_directory(str(tmp_path))


def test_an_excluded_directory_with_nothing_left_is_gone(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/x").touch()
    (tmp_path / ".dockerignore").write_text("d\n!d/nothing\n.dockerignore\n")
    found = Context.open_directory(str(tmp_path))
    assert found.lookup("d") is None
    assert found.size() == (1024, 0)
    found.close()


def test_no_context() -> None:
    empty = Context()
    assert empty.lookup("etc") is None and empty.size() == (1024, 0)
    empty.close()


def test_an_unchanged_file_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context_module, "_SETTLED", -1)
    cache = MemoryCache()
    for n in range(50):
        (tmp_path / f"f{n}").write_text(f"content {n}")

    def digests() -> tuple[dict[str, str], int]:
        found = Context.open_directory(str(tmp_path))
        read = []
        monkeypatch.setattr(
            found, "open", lambda entry: read.append(entry) or Context.open(found, entry)
        )
        try:
            top = found.lookup("")
            assert top is not None
            names = {e.path: found.digest(e, cache) for e in found.walk(top)}
            found.remember(cache)
        finally:
            found.close()
        return names, len(read)

    first, read = digests()
    assert read == 50
    second, read = digests()
    assert second == first and read <= 33
    time = os.stat(tmp_path / "f49").st_mtime_ns
    (tmp_path / "f49").write_text("content !!")  # same size, and the time put back
    os.utime(tmp_path / "f49", ns=(time, time))
    third, _ = digests()
    assert third["f49"] != first["f49"]
    assert {k for k in first if first[k] != third[k]} == {"f49"}


def test_an_unchanged_directory_is_looked_at_and_no_file_of_it_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context_module, "_SETTLED", -1)
    cache = MemoryCache()
    for n in range(100):
        (tmp_path / f"d{n % 7}").mkdir(exist_ok=True)
        (tmp_path / f"d{n % 7}/f{n}\udcff").write_text(f"content {n}")
    (tmp_path / "link").symlink_to("d1")

    def digest() -> tuple[str, int]:
        found = Context.open_directory(str(tmp_path))
        read: list[Entry] = []
        monkeypatch.setattr(found, "open", lambda e: read.append(e) or Context.open(found, e))
        try:
            made = digest_chosen(found, TransferSpec((".",), "/"), cache)
            found.remember(cache)
        finally:
            found.close()
        return made, len(read)

    first, read = digest()
    assert read == 100
    assert digest() == (first, 0)
    os.utime(tmp_path / "d1" / "f1\udcff")
    touched, read = digest()
    assert touched == first and 1 <= read <= 33  # the first few are read rather than looked up
    assert digest() == (first, 0)
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("d2")
    assert digest()[0] != first


@pytest.mark.parametrize("hours", [1, -1])
def test_what_changed_just_now_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    monkeypatch.setattr(context_module, "_SETTLED", hours * 3_600_000_000_000)
    cache = MemoryCache()
    for n in range(100):
        (tmp_path / f"f{n}").write_text(f"content {n}")
    found = Context.open_directory(str(tmp_path))
    digest_chosen(found, TransferSpec((".",), "/"), cache)
    found.remember(cache)
    found.close()
    assert any("signature" in row for row in cache.rows.values()) is (hours < 0)


def test_large_files_are_hashed_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context_module, "_LARGE", 1000)
    for n in range(6):
        (tmp_path / f"f{n}").write_bytes(bytes([n]) * 5000)
    found = Context.open_directory(str(tmp_path))
    entries = [found.lookup(f"f{n}") for n in range(6)]
    cache = MemoryCache()
    found.digest_all([e for e in entries if e], cache)
    for n, entry in enumerate(entries):
        assert entry is not None
        assert found.digest(entry, cache) == hashlib.sha256(bytes([n]) * 5000).hexdigest()
    assert threading.active_count() == 1
    (tmp_path / "f3").unlink()
    again = Context.open_directory(str(tmp_path))
    missing = [e for e in entries if e]
    with pytest.raises(Unavailable, match="f3"):
        again.digest_all(missing, MemoryCache())
    found.close()
    again.close()


@pytest.mark.parametrize("name", ["a.o", "x/a.o", "x/y/.o", "a.oo", "o", "x.o/a", "a/x", "ab"])
def test_patterns_of_endings_mean_what_the_others_mean(name: str) -> None:
    quick, slow = Pattern("**/*.o", double_star=True), Pattern("**/**/*.o", double_star=True)
    assert quick.matches(name) is slow.matches(name)
    ignore = parse_ignore("**/*.o\nx\n!x/y\n!**/ab\n")
    assert ignore.excludes(name, ignore.top) is ignore.verdict(name, ignore.top).excluded


WORDS = st.text("ab", min_size=1, max_size=2)
PATTERNS = st.lists(
    st.builds(
        lambda back, parts: ("!" if back else "") + "/".join(parts),
        st.booleans(),
        st.lists(st.text("ab*?", min_size=1, max_size=3), min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=4,
)


@given(PATTERNS, st.lists(WORDS, max_size=2), WORDS)
def test_whom_no_pattern_concerns_fares_as_its_directory_does(
    patterns: list[str], parents: list[str], name: str
) -> None:
    ignore = parse_ignore("\n".join(patterns))
    verdict = ignore.top
    for depth in range(1, len(parents) + 1):
        verdict = ignore.verdict("/".join(parents[:depth]), verdict)
    concerned = ignore.concerned("/".join(parents), verdict)
    own = ignore.verdict("/".join([*parents, name]), verdict)
    if concerned is not None and name not in concerned:
        assert (own.excluded, own._matched) == (verdict.excluded, verdict._matched)


@given(st.text("ab*/", min_size=1, max_size=5), st.text("ab/", min_size=1, max_size=6))
def test_one_star_between_words_means_what_it_does_among_others(pattern: str, name: str) -> None:
    quick = Pattern(pattern)
    slow = Pattern(pattern)
    slow._one_star = -1
    assert quick.matches(name) is slow.matches(name)


def test_a_very_deep_context(tmp_path: Path) -> None:
    depth = 1500
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("a", dir_fd=fd)
        below = os.open("a", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    os.close(fd)
    found = Context.open_directory(str(tmp_path))
    assert found.size()[1] == 1
    assert len(digest_chosen(found, TransferSpec((".",), "/"), MemoryCache())) == 64
    found.close()
    subprocess.run(["rm", "-rf", str(tmp_path / "a")], check=True)  # deeper than rmtree can


def test_remembered_digests_survive_the_store() -> None:
    status = os.stat("/")
    memory = Memory(None)
    memory.put("a/b\udcff", status, "ab" * 32)
    memory.put("c", status, "cd" * 32)
    again = Memory(loads(dumps(memory.document())))
    assert again.get("a/b\udcff", status) == "ab" * 32
    assert again.get("c", status) == "cd" * 32
    assert again.get("c", os.stat("/proc")) is None
    assert again.get("d", status) is None


def a_tree(directory: Path) -> None:
    for n in range(60):
        (directory / f"d{n % 5}" / "deep").mkdir(parents=True, exist_ok=True)
        (directory / f"d{n % 5}/deep/f{n}").write_text(f"content {n}" * n)
    (directory / "d1" / ("long" * 24)).touch()
    (directory / "link").symlink_to("d1")


def survey(directory: Path) -> Seen:
    found = Context.open_directory(str(directory))
    try:
        return Survey(found).below("")
    finally:
        found.close()


def count_forks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    forked = []
    fork = os.fork

    def counted() -> int:
        forked.append(1)
        return fork()

    monkeypatch.setattr(os, "fork", counted)
    return forked


def test_two_processes_see_what_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_tree(tmp_path)
    forked = count_forks(monkeypatch)
    alone = survey(tmp_path)
    assert not forked and (alone.count, alone.files) == (60 + 10 + 2, 60 + 2)
    monkeypatch.setattr(surveying, "_MANY", 4)
    assert survey(tmp_path) == alone
    assert len(forked) == 1
    for n in (1, 2, 3, 4):  # one of them is the other process's
        file = tmp_path / f"d{n}/deep/f{n}"
        file.write_text("other")
        now = survey(tmp_path)
        assert now.digest != alone.digest
        assert now.newest_ns == file.stat().st_ctime_ns
        alone = now


def test_what_was_looked_at_for_its_size_has_a_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_tree(tmp_path)
    monkeypatch.setattr(surveying, "_MANY", 4)
    forked = count_forks(monkeypatch)
    sized, other = (Context.open_directory(str(tmp_path)) for _ in range(2))
    sized.size()
    assert len(forked) == 1
    for path in ("", "d1", "d4/deep", "d4/deep/f4", "link"):
        ours, theirs = sized.lookup(path, follow=False), other.lookup(path, follow=False)
        assert ours is not None and theirs is not None
        assert sized.signature(ours) == other.signature(theirs)
    assert len(forked) == 2, "all had been looked at before by one of them"
    sized.close()
    other.close()


def test_a_size_is_that_of_the_tar(tmp_path: Path) -> None:
    a_tree(tmp_path)
    found = Context.open_directory(str(tmp_path))
    size, files = found.size()
    found.close()
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in os.listdir(tmp_path):
            archive.add(tmp_path / name, name)
        assert archive.offset == size - 1024
        assert sum(not member.isdir() for member in archive) == files


def test_what_the_other_process_could_not_do_is_done_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_tree(tmp_path)
    alone = survey(tmp_path)
    ours = os.getpid()
    look = Survey._look

    def only_here(self: Survey, directory: str) -> surveying._Part:
        assert os.getpid() == ours
        return look(self, directory)

    monkeypatch.setattr(surveying, "_MANY", 4)
    monkeypatch.setattr(Survey, "_look", only_here)
    before = own_children()
    assert survey(tmp_path) == alone
    assert own_children() == before


@pytest.mark.only("user")
def test_who_builds_is_told_what_neither_process_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_tree(tmp_path)
    monkeypatch.setattr(surveying, "_MANY", 4)
    (tmp_path / "d4/deep").chmod(0)
    before = own_children()
    with pytest.raises(Unavailable, match="d4/deep"):
        survey(tmp_path)
    (tmp_path / "d4/deep").chmod(0o755)
    assert own_children() == before
