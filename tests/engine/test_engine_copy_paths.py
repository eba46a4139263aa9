"""The words of `cp`: which side they mean, and where a copy lands. Docker 20.10 says the same."""

from __future__ import annotations

import pytest

from kobako.engine.copy_paths import (
    Source,
    absolute,
    base,
    destination,
    is_content,
    split_argument,
    split_entry,
)
from kobako.errors import Invalid


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("c:/x", ("c", "/x")),
        ("c:x:y", ("c", "x:y")),
        ("c:", ("c", "")),
        (":/x", ("", "/x")),
        ("/a:b", ("", "/a:b")),
        ("./a:b", ("", "./a:b")),
        ("../a:b", ("", "../a:b")),
        ("a/b", ("", "a/b")),
        ("-", ("", "-")),
    ],
)
def test_which_side(word: str, found: tuple[str, str]) -> None:
    assert split_argument(word) == found


@pytest.mark.parametrize(
    ("path", "whole", "name", "content"),
    [
        ("x", "/x", "x", False),
        ("x/", "/x/", "x", False),
        ("x/.", "/x/.", ".", True),
        ("x/./", "/x/./", ".", True),
        (".", "/.", ".", True),
        ("/", "/", "/", False),
        ("//", "/", "/", False),
        ("a/../../b", "/b", "b", False),
        ("a//b/.//c", "/a/b/c", "c", False),
        ("x/..", "/", "/", False),
        ("...", "/...", "...", False),
        ("x/.hidden", "/x/.hidden", ".hidden", False),
    ],
)
def test_what_is_meant(path: str, whole: str, name: str, content: bool) -> None:
    assert absolute(path) == whole
    assert base(whole) == name
    assert is_content(whole) is content


def test_relative_to_a_directory() -> None:
    assert absolute("x/.", "/home/u") == "/home/u/x/."
    assert absolute("../x", "/home/u") == "/home/x"
    assert absolute("/x", "/home/u") == "/x"
    assert split_entry("/a/b/") == ("/a", "b")
    assert split_entry("/a") == ("/", "a")
    assert split_entry("/") == ("/", "")


FILE, TREE, CONTENT = Source(False, "f"), Source(True, "d"), Source(True, ".")


@pytest.mark.parametrize(
    ("source", "path", "there", "goal"),
    [
        (FILE, "/x", "directory", ("/x", "f")),
        (FILE, "/x", "file", ("/", "x")),
        (FILE, "/x", "", ("/", "x")),
        (FILE, "/x/", "", "no such directory"),
        (FILE, "/x/.", "", "no such directory"),
        (TREE, "/x", "directory", ("/x", "d")),
        (TREE, "/x", "file", "cannot copy directory"),
        (TREE, "/a/x", "", ("/a", "x")),
        (TREE, "/a/x/", "", ("/a", "x")),
        (TREE, "/a/x/.", "", ("/a/x", "")),
        (CONTENT, "/x", "directory", ("/x", "")),
        (CONTENT, "/x", "", ("/", "x")),
        (CONTENT, "/x", "file", "cannot copy directory"),
        (Source(True, "/"), "/x", "directory", ("/x", "")),
        (FILE, "/", "directory", ("/", "f")),
    ],
)
def test_where_it_lands(source: Source, path: str, there: str, goal: tuple[str, str] | str) -> None:
    how = {"exists": bool(there), "is_directory": there == "directory"}
    if isinstance(goal, str):
        with pytest.raises(Invalid, match=f"^{goal}$"):
            destination(source, path, **how)
        return
    found = destination(source, path, **how)
    assert (found.directory, found.name) == goal
