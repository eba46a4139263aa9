"""A directory copied to where nothing is goes another way; what comes of it is the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from building import Site

pytestmark = pytest.mark.only("root", "emulated")  # directories are shut to users alone


@pytest.fixture
def full(site: Site) -> Iterator[Site]:
    site.put({"d/a": "A", "d/sub/deep/b": "B" * 100_000, "d/sub/link": "-> ../a", "d/empty/": ""})
    os.link(site.context / "d/a", site.context / "d/sub/again")
    (site.context / "d/a").chmod(0o4755)
    (site.context / "d/sub").chmod(0o2711)
    (site.context / "d/sub/deep/b").chmod(0o440)
    (site.context / "d/sub/deep/none").touch()
    yield site
    for parent, names, _ in os.walk(site.context.parent):  # --chmod=640 makes directories shut
        for name in names:
            if not (place := Path(parent, name)).is_symlink():
                place.chmod(0o700)


def trees(site: Site, instruction: str, base: str = "scratch") -> list[dict[str, Any]]:
    """What an instruction makes, and the same with a here-document beside it, which goes the way
    of everything else."""
    found = []
    for extra in ("", "COPY <<E /other\nE\n"):
        text = f"FROM {base}\n{instruction}\n{extra}"
        if extra:
            text = f"FROM {base}\n{instruction.replace(' d', ' d <<E', 1)}\nE\n"
        built = site.build(text, no_cache=True)
        tree = site.tree(built)
        tree.pop("x/E", None)
        found.append(tree)
    return found


# Where directories cannot be entered only root can write: here the user, in a build the build.
SHUT = pytest.param("--chmod=640", marks=pytest.mark.only("root"))


@pytest.mark.parametrize("flags", ["", SHUT, "--chmod=750", "--chmod=go-x", "--chown=0:0"])
def test_both_ways_give_the_same(full: Site, flags: str) -> None:
    new, old = trees(full, f"COPY {flags} d /x/")
    assert new == old and len(new) == 9


def test_links_and_times(full: Site) -> None:
    path = full.path(full.build("FROM scratch\nCOPY d /x/\n")) / "x"
    assert (path / "a").stat().st_ino == (path / "sub/again").stat().st_ino
    times = {p.lstat().st_mtime for p in path.rglob("*")}
    assert times == {315532800.0}
    assert (path / "sub/deep/b").stat().st_size == 100_000


def test_what_is_there_is_merged_with(full: Site) -> None:
    full.base("base", {"x/a": "old", "x/sub/kept": "kept"})
    new, old = trees(full, "COPY d /x/", "base")
    assert new == old
    assert new["x/sub/kept"][-1] == b"kept" and new["x/a"][-1] == b"A"


def test_two_sources_meet(full: Site) -> None:
    full.put({"e/sub/more": "M"})
    tree = full.tree(full.build("FROM scratch\nCOPY d e /x/\n"))
    assert {"x/sub/more", "x/sub/deep/b"} <= set(tree)


def test_a_file_that_cannot_be_read_is_named(full: Site) -> None:
    if os.getuid() == 0:
        (full.context / "d/loop").symlink_to("loop")
        assert "x/loop" in full.tree(full.build("FROM scratch\nCOPY d /x/\n"))
        return
    (full.context / "d/sub/deep/none").chmod(0)
    with pytest.raises(Exception, match="sub/deep/none"):
        full.build("FROM scratch\nCOPY d /x/\n")
