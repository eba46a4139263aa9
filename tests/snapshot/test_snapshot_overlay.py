"""The overlay driver with real mounts, in a child's own mount (and user) namespace."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import stat
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kobako.errors import Unsupported
from kobako.layer.apply import apply
from kobako.layer.change import Change
from kobako.layer.pack import pack
from kobako.linux import fs, process, userns
from kobako.linux import mount as mounts
from kobako.linux.ownership import XATTR
from kobako.snapshot import select
from kobako.snapshot.copy import CopyDriver
from kobako.snapshot.driver import Driver
from kobako.snapshot.overlay import OverlayDriver
from kobako.snapshot.overlay_diff import diff

FORM = "native" if os.geteuid() == 0 else "emulated"


def isolated(work: Callable[[], Any]) -> Any:
    """What `work()` gives as root of a namespace in which it may mount."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if os.geteuid() != 0:
                userns.enter_single()
            process.unshare(process.CLONE_NEWNS)
            mounts.set_propagation("/", "rprivate")
            answer = (True, work())
        except BaseException:
            answer = (False, traceback.format_exc())
        try:
            with open(w, "wb") as pipe:
                pickle.dump(answer, pipe)
        finally:  # nobody may listen any more: the rest of the suite is not for this process
            os._exit(0)
    os.close(w)
    with open(r, "rb") as pipe:
        fine, value = pickle.load(pipe)
    os.waitpid(pid, 0)
    assert fine, value
    return value


def lower(path: Path, **files: str) -> str:
    for name, content in files.items():
        target = path / name.replace("__", "/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    path.mkdir(exist_ok=True)
    return str(path)


def open_up(driver: Driver, place: Path, lowers: list[str], **options: bool) -> Path:
    driver.prepare(str(place), lowers)
    for mount in driver.mounts(str(place), lowers, **options):
        mount.apply()
    return place / "rootfs"


@pytest.fixture(params=["overlay", "copy"])
def driver(request: pytest.FixtureRequest) -> Driver:
    return OverlayDriver(FORM) if request.param == "overlay" else CopyDriver(FORM)


def test_what_a_container_does_is_what_diff_says(tmp_path: Path, driver: Driver) -> None:
    top = lower(tmp_path / "top", etc__b="2")
    base = lower(
        tmp_path / "base", etc__a="1", etc__b="1", usr__bin__x="x", gone__1="1", again__1="1", f="f"
    )

    def work() -> list[Change]:
        root = open_up(driver, tmp_path / "c", [top, base])
        assert (root / "etc/b").read_text() == "2"
        (root / "etc/b").write_text("changed")
        (root / "new/deep").mkdir(parents=True)
        (root / "new/deep/f").write_text("n")
        shutil.rmtree(root / "gone")
        shutil.rmtree(root / "again")
        (root / "again").mkdir()
        (root / "again/2").write_text("2")
        os.unlink(root / "f")
        (root / "f").symlink_to("etc")
        os.unlink(root / "usr/bin/x")
        (root / "usr/bin/tmp").write_text("")
        os.unlink(root / "usr/bin/tmp")
        return driver.diff(str(tmp_path / "c"), [top, base])

    found = isolated(work)
    opaque = driver.name == "overlay"
    extra = [] if opaque else [Change("/again/1", "D")]
    assert found == [
        Change("/again", "C", opaque),
        *extra,
        Change("/again/2", "A"),
        Change("/etc", "C"),
        Change("/etc/b", "C"),
        Change("/f", "C"),
        Change("/gone", "D"),
        Change("/new", "A"),
        Change("/new/deep", "A"),
        Change("/new/deep/f", "A"),
        Change("/usr", "C"),
        Change("/usr/bin", "C"),
        Change("/usr/bin/x", "D"),
    ]


def test_what_an_overlay_leaves_behind_is_no_change(tmp_path: Path) -> None:
    """Whiteouts of nothing and sockets, and a directory that only emulation knows to differ. What
    is no change is not left in a tree that becomes a layer's."""
    base = lower(tmp_path / "base", gone="1", was="1", d__x="1", e__x="1")
    upper = tmp_path / "c/upper"
    for name in ("d", "e"):
        (upper / name).mkdir(parents=True)
        shutil.copystat(tmp_path / "base" / name, upper / name)
    os.setxattr(upper / "e", XATTR, b"5:5")

    def work() -> tuple[list[Change], list[str], list[str], int]:
        for name in ("gone", "never", "d/never"):
            os.mknod(upper / name, 0o600 | stat.S_IFCHR, 0)
        for name in ("was", "socket", "e/socket"):
            os.mknod(upper / name, 0o600 | stat.S_IFSOCK)
        for name in ("d", "e"):
            shutil.copystat(tmp_path / "base" / name, upper / name)
        driver, idle = OverlayDriver("emulated"), list[str]()
        changes = driver.diff(str(tmp_path / "c"), [base], idle)
        driver.strip(str(tmp_path / "c"), idle)
        left = sorted(str(path.relative_to(upper)) for path in upper.rglob("*"))
        return changes, sorted(idle), left, os.stat(upper / "e").st_mtime_ns

    changes, idle, left, time = isolated(work)
    assert changes == [Change("/e", "C"), Change("/gone", "D"), Change("/was", "C")]
    assert idle == ["/d", "/d/never", "/e/socket", "/never", "/socket"]
    assert left == ["e", "gone", "was"]
    assert time == os.stat(tmp_path / "base/e").st_mtime_ns


def test_a_packed_layer_on_the_same_lowers_shows_the_same_tree(tmp_path: Path, driver) -> None:
    base = lower(tmp_path / "base", d__1="1", d__2="2", e__3="3", keep__k="k")

    def listing(root: Path) -> list[str]:
        return sorted(str(p.relative_to(root)) for p in root.rglob("*"))

    def work() -> tuple[list[str], list[str]]:
        root = open_up(driver, tmp_path / "c", [base])
        shutil.rmtree(root / "d")
        (root / "d").mkdir()
        (root / "d/new").write_text("new")
        os.unlink(root / "e/3")
        before = listing(root)
        changes = driver.diff(str(tmp_path / "c"), [base])
        fd = os.open(tmp_path / "c/upper", os.O_RDONLY)
        blob = io.BytesIO()
        pack(fd, changes, blob, "plain", FORM)
        os.close(fd)
        layer = tmp_path / "layer"
        layer.mkdir()
        fd = os.open(layer, os.O_RDONLY)
        apply(io.BytesIO(blob.getvalue()), fd, FORM)
        os.close(fd)
        type(driver)(FORM)
        return before, listing(open_up(driver, tmp_path / "again", [str(layer), base]))

    before, after = isolated(work)
    assert before == after
    assert before == ["d", "d/new", "e", "keep", "keep/k"]


@pytest.mark.parametrize("count", [1, 128, 300])
def test_long_chains(tmp_path: Path, count: int) -> None:
    long = tmp_path / ("long" * 20)
    lowers = [lower(long / f"layer-{n}" / "tree", **{f"f{n}": "x"}) for n in range(count)]
    driver = OverlayDriver(FORM)

    def work() -> int:
        return len(os.listdir(open_up(driver, tmp_path / "c", lowers, volatile=True)))

    assert isolated(work) == count


def test_odd_paths_and_no_layers_at_all(tmp_path: Path) -> None:
    driver = OverlayDriver(FORM)
    odd = tmp_path / "a:b,c\\d e"
    base = lower(odd / "base", f="f")

    def work() -> tuple[list[str], list[str]]:
        root = open_up(driver, odd / "c", [base])
        empty = open_up(driver, odd / "scratch", [])
        (empty / "x").write_text("")
        return os.listdir(root), [c.path for c in driver.diff(str(odd / "scratch"), [])]

    assert isolated(work) == (["f"], ["/x"])


def test_readonly(tmp_path: Path, driver: Driver) -> None:
    base = lower(tmp_path / "base", f="f")

    def work() -> str:
        root = open_up(driver, tmp_path / "c", [base], readonly=True)
        try:
            (root / "x").write_text("")
        except OSError as fault:
            return str(fault.strerror)
        return "written"

    assert "Read-only" in isolated(work)


def test_remove_copes_with_any_mode(tmp_path: Path, driver: Driver) -> None:
    base = lower(tmp_path / "base", d__f="f")

    def work() -> bool:
        root = open_up(driver, tmp_path / "c", [base])
        (root / "d/f").write_text("g")
        (root / "locked").mkdir()
        (root / "locked/f").write_text("")
        (root / "locked").chmod(0)
        assert driver.usage(str(tmp_path / "c")) == 1
        mounts.unmount(str(root))
        driver.remove(str(tmp_path / "c"))
        driver.remove(str(tmp_path / "c"))
        return (tmp_path / "c").exists()

    assert isolated(work) is False


def test_very_deep_trees_are_removed(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    first = here
    os.mkdir("deep", dir_fd=here)
    for _ in range(600):
        below = os.open("deep", os.O_RDONLY, dir_fd=here)
        if here != first:
            os.close(here)
        os.mkdir("deep", dir_fd=below)
        os.mkdir("side", dir_fd=below)
        here = below
    os.close(here)
    os.close(first)
    fs.remove_tree(str(tmp_path / "deep"))
    assert os.listdir(tmp_path) == []


def test_select_finds_a_driver_and_remembers(tmp_path: Path) -> None:
    assert select(str(tmp_path), FORM).name == "overlay"
    memory = tmp_path / f"snapshot.{FORM}"
    memory.write_text(memory.read_text().replace("overlay", "copy"))
    assert select(str(tmp_path), FORM).name == "copy"
    assert select(str(tmp_path), FORM, fresh=True).name == "overlay"
    memory.write_text("another-boot 1 1 copy\n")
    assert select(str(tmp_path), FORM).name == "overlay"


def test_a_path_that_no_layer_can_say_is_named(tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    upper.mkdir()
    name = "d" * 200
    here = os.open(upper, os.O_RDONLY)
    for _ in range(25):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    with pytest.raises(
        Unsupported, match=rf"/{name[:150]}.*: no layer has paths of more than 4095 bytes"
    ):
        diff(str(upper), [], "native")
    fs.remove_tree(str(upper))
