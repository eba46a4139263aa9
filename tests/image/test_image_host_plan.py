"""Plans of trees: links kept, homes hidden, nothing half planned."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kobako.errors import Conflict, Denied, Invalid, KobakoError, NotFound
from kobako.image.from_host.plan import TreePlan


def fill(root: Path) -> Path:
    root = root.resolve()
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/tool").write_bytes(b"tool")
    (root / "bin").symlink_to("usr/bin")
    (root / "etc").mkdir()
    (root / "etc/tool").symlink_to(f"{root}/usr/bin/tool")
    (root / "bin/alias").symlink_to("../../etc/tool")
    return root


def test_a_chain_of_links_is_kept_as_it_is(tmp_path: Path) -> None:
    root = fill(tmp_path)
    plan = TreePlan(homes=())
    assert plan.add(f"{root}/bin/alias") == f"{root}/bin/alias"
    assert plan.entries[f"{root}/bin"].target == "usr/bin"
    assert plan.entries[f"{root}/usr/bin/alias"].target == "../../etc/tool"
    assert plan.entries[f"{root}/etc/tool"].target == f"{root}/usr/bin/tool"
    assert plan.entries[f"{root}/usr/bin/tool"].source == f"{root}/usr/bin/tool"


def test_files_of_a_home_move(tmp_path: Path) -> None:
    root = fill(tmp_path)
    plan = TreePlan(homes=[str(root / "usr")])
    place = plan.add(f"{root}/bin/tool", moved_to="/usr/local/bin")
    assert plan.holds(place)
    assert plan.entries[f"{root}/bin"].target == "/usr/local/bin"
    assert plan.entries["/usr/local/bin/tool"].kind == "file"
    assert not any(str(root / "usr") in where for where in plan.entries)
    assert not any(str(root / "usr") in e.target for e in plan.entries.values())


def test_a_moved_prefix_keeps_its_inner_links(tmp_path: Path) -> None:
    home = tmp_path.resolve() / "me"
    (home / "py/bin").mkdir(parents=True)
    (home / "py/bin/python3.11").write_bytes(b"x")
    (home / "py/bin/python3").symlink_to("python3.11")
    (home / "py/bin/python").symlink_to(f"{home}/py/bin/python3")
    plan = TreePlan(homes=[str(home)])
    plan.move(f"{home}/py", "/usr/local")
    plan.add(f"{home}/py/bin/python")
    assert plan.entries["/usr/local/bin/python"].target == "/usr/local/bin/python3"
    assert plan.entries["/usr/local/bin/python3"].target == "python3.11"
    assert plan.entries["/usr/local/bin/python3.11"].source == f"{home}/py/bin/python3.11"
    assert not any("me" in where.split("/") for where in plan.entries)


def test_what_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    root = fill(tmp_path)
    (root / "loop").symlink_to("loop")
    (root / "gone").symlink_to("usr/bin/none")
    os.mkfifo(root / "fifo")
    for name, kind in (("loop", Invalid), ("gone", NotFound), ("fifo", Invalid), ("no", NotFound)):
        plan = TreePlan(homes=())
        with pytest.raises(kind, match=str(root)):
            plan.add(str(root / name))
        assert plan.entries == {}


def test_this_machines_configuration_is_not_copied() -> None:
    plan = TreePlan()
    for path in ("/etc/passwd", "/etc/hostname"):
        with pytest.raises(KobakoError, match=path):
            plan.add(path)
    assert plan.entries == {}


@pytest.mark.only("user")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "secret").chmod(0)
    with pytest.raises(Denied, match="secret cannot be read"):
        TreePlan(homes=()).add(str(tmp_path / "secret"))


def test_two_files_for_one_place_conflict(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    for name in ("a", "b"):
        (root / name).mkdir()
        (root / name / "x").write_text(name * 2)
    plan = TreePlan(homes=[str(root)])
    plan.add(f"{root}/a/x")
    plan.add(f"{root}/a/x")
    with pytest.raises(Conflict, match="would both be /usr/local/lib/x"):
        plan.add(f"{root}/b/x")


def test_setuid_only_counts_for_root(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    (tmp_path / "x").chmod(0o6755)
    path = str((tmp_path / "x").resolve())
    plan = TreePlan(homes=())
    plan.add(path)
    info = os.stat(path)
    expected = 0o755 | (0o4000 if info.st_uid == 0 else 0) | (0o2000 if info.st_gid == 0 else 0)
    assert plan.entries[path].mode == expected


def test_written_files_follow_planned_links(tmp_path: Path) -> None:
    root = fill(tmp_path)
    plan = TreePlan(homes=())
    plan.add(f"{root}/bin/tool")
    plan.symlink(f"{root}/bin/more", "tool")
    plan.write(f"{root}/bin/fresh", b"data", 0o755)
    assert plan.entries[f"{root}/usr/bin/more"].target == "tool"
    assert plan.entries[f"{root}/usr/bin/fresh"].data == b"data"
    assert plan.holds(f"{root}/bin/fresh")
    assert not plan.holds(f"{root}/bin/other")
