"""What a word of ADD or a context names: a file, a URL, a commit of a repository."""

from __future__ import annotations

import pytest

from kobako.build.dockerfile.source import Problem
from kobako.build.sources import GitSource, UrlSource, git_source, url_source


@pytest.mark.parametrize(
    ("text", "remote", "ref", "subdir"),
    [
        ("https://host/a/repo.git", "https://host/a/repo.git", "", ""),
        ("https://u:p@host/repo.git#main", "https://u:p@host/repo.git", "main", ""),
        ("http://host/repo.git#a/b:c/../d", "http://host/repo.git", "a/b", "d"),
        ("https://host/repo.git#:sub", "https://host/repo.git", "", "sub"),
        ("https://host/repo.git#x:../../up", "https://host/repo.git", "x", "up"),
        ("https://host/repo.git?branch=b", "https://host/repo.git", "refs/heads/b", ""),
        ("https://host/repo.git?tag=v1&subdir=d", "https://host/repo.git", "refs/tags/v1", "d"),
        ("https://host/repo.git?ref=r#r:s", "https://host/repo.git", "r", "s"),
        ("git@github.com:moby/buildkit", "git@github.com:moby/buildkit", "", ""),
        ("git@host:a.git?ref=x", "git@host:a.git", "x", ""),
        ("ssh://git@host:22/a#v", "ssh://git@host:22/a", "v", ""),
        ("git://host/a", "git://host/a", "", ""),
    ],
)
def test_repositories(text: str, remote: str, ref: str, subdir: str) -> None:
    assert git_source(text) == GitSource(remote, ref, subdir)


@pytest.mark.parametrize(
    "text",
    ["a", "./a@b:c", "a:b", "https://host/repo", "https://host/x.git/y", "file:///x.git",
     "github.com/a/b", "@:x", "a b@c:d"],
)  # fmt: skip
def test_what_is_no_repository(text: str) -> None:
    assert git_source(text) is None


def test_a_context_may_leave_the_scheme_out() -> None:
    found = GitSource("https://github.com/a/b.git", "main", "d")
    assert git_source("github.com/a/b#main:d", context=True) == found
    assert git_source("github.com/a/b.git#main:d", context=True) == found


def test_what_a_query_says_of_a_repository() -> None:
    found = git_source(
        "https://host/r.git?keep-git-dir&submodules=false&commit=0123abc&mtime=commit"
    )
    assert found == GitSource("https://host/r.git", "", "", "0123abc", True, False, True)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("?what=1", "unexpected query"),
        ("?ref=a&ref=b", "multiple values"),
        ("?ref=", "has no value"),
        ("?ref=a#b", "ref conflicts"),
        ("?tag=a&branch=b", "branch conflicts with tag"),
        ("?subdir=a#:b", "subdir conflicts"),
        ("?submodules=maybe", "invalid submodules value"),
        ("?mtime=now", "invalid mtime"),
    ],
)
def test_contradictions_in_a_query(query: str, says: str) -> None:
    with pytest.raises(Problem, match=says):
        git_source("https://host/r.git" + query)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://host/a/b.txt", "b.txt"),
        ("https://host/a%20b?x=/y#z", "a b"),
        ("http://host/dir/", "dir"),
        ("http://host/", "__unnamed__"),
        ("http://host", "__unnamed__"),
        ("http://host/..", "__unnamed__"),
    ],
)
def test_the_name_of_a_file_of_a_url(url: str, name: str) -> None:
    assert url_source(url) == UrlSource(url, name)
    assert url_source(url[7:]) is None
