"""Users and groups of an image by name or number."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kobako.engine.users import User, resolve
from kobako.errors import Invalid, NotFound

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
broken line
web:x:33:44::/srv:/bin/sh
nohome:x:7:7:::
"""
GROUP = "root:x:0:\nwww:x:44:\nextra:x:50:other,web\nmore:x:51:web\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    etc = tmp_path / "tree/etc"
    etc.mkdir(parents=True)
    (etc / "passwd").write_text(PASSWD)
    (etc / "group").write_text(GROUP)
    return tmp_path / "tree"


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("", User(0, 0, (0,), "/root")),
        ("web", User(33, 44, (44, 50, 51), "/srv")),
        ("33", User(33, 44, (44, 50, 51), "/srv")),
        ("web:extra", User(33, 50, (50,), "/srv")),
        ("web:99", User(33, 99, (99,), "/srv")),
        ("nohome", User(7, 7, (7,), "/")),
        ("1234", User(1234, 0, (0,), "/")),
        (":www", User(0, 44, (44,), "/root")),
    ],
)
def test_who_is_meant(tree: Path, text: str, user: User) -> None:
    assert resolve(text, [str(tree)]) == user


def test_more_groups_are_added(tree: Path) -> None:
    assert resolve("web", [str(tree)], ["www", "77"]).groups == (44, 50, 51, 77)
    with pytest.raises(NotFound, match="unable to find group nope"):
        resolve("web", [str(tree)], ["nope"])


def test_nobody_of_that_name_and_no_such_number(tree: Path) -> None:
    with pytest.raises(NotFound, match="unable to find user nope: no matching entries"):
        resolve("nope", [str(tree)])
    for text in ("2147483648", "1" * 30, "0:2147483648"):
        with pytest.raises(Invalid, match="must be in range 0-2147483647"):
            resolve(text, [str(tree)])
    assert resolve("0", []) == User(0, 0, (0,), "/root")  # no tree at all


def test_links_are_followed_within_the_stack(tree: Path, tmp_path: Path) -> None:
    top, middle = tmp_path / "top", tmp_path / "middle"
    (top / "etc").mkdir(parents=True)
    (top / "etc/passwd").symlink_to("../../usr/./share/passwd")
    (top / "etc/group").symlink_to("/etc/../etc/group-of-middle")
    (middle / "usr").mkdir(parents=True)
    (middle / "usr/share").symlink_to("/opt")
    (middle / "opt").mkdir()
    (middle / "opt/passwd").write_text("linked:x:5:6::/l:/bin/sh\n")
    (middle / "etc").mkdir()
    (middle / "etc/group-of-middle").write_text("g:x:9:linked\n")
    stack = [str(top), str(middle), str(tree)]
    assert resolve("linked", stack) == User(5, 6, (6, 9), "/l")
    (top / "opt").write_text("a file hides a directory below\n")
    with pytest.raises(NotFound):
        resolve("linked", stack)
    (top / "opt").unlink()
    (middle / "opt/passwd").unlink()
    (middle / "opt/passwd").symlink_to("passwd")
    with pytest.raises(NotFound):
        resolve("linked", stack)


def test_the_topmost_file_counts_and_no_link_leads_out(tree: Path, tmp_path: Path) -> None:
    top, outside = tmp_path / "top", tmp_path / "outside"
    outside.mkdir()
    (outside / "passwd").write_text("host:x:1000:1000::/:\n")
    assert resolve("web", [str(top), str(tree)]).uid == 33
    (top / "etc").mkdir(parents=True)
    (top / "etc/passwd").symlink_to(outside / "passwd")
    with pytest.raises(NotFound):
        resolve("host", [str(top), str(tree)])
    os.unlink(top / "etc/passwd")
    (top / "etc").rmdir()
    (top / "etc").symlink_to(outside)
    with pytest.raises(NotFound):
        resolve("host", [str(top), str(tree)])
