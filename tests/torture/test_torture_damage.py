"""A store that was damaged, filled up, or outlived a reboot."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from torture_command import Kobako
from torture_registry import Registry


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 12 MiB."""
    disk = place / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.only("root")
def test_full_disk(base: Kobako, registry: Registry, small_disk: Path, place: Path) -> None:
    remote = f"{registry.address}/full/base"
    base("tag", "base", remote)
    base("push", remote)
    base("run", "--name", "c1", "base", "ls")
    archive = place / "root.tar"
    base("export", "-o", str(archive), "c1")
    store = base.at(small_disk / "store")
    store("pull", remote)
    store("tag", remote, "base")
    fill = "cat /dev/zero > /zero; exit 0"
    store("run", "--name", "c1", "base", "sh", "-c", "dd if=/dev/urandom of=/r bs=1M count=2")
    dockerfile = b"FROM base\nRUN dd if=/dev/urandom of=/r bs=1M count=9\n"
    store.refuses("build", "-", data=dockerfile)
    store.whole()
    (small_disk / "ballast").write_bytes(b"")
    with open(small_disk / "ballast", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    for words, data in (
        (["import", str(archive), "imported"], None),
        (["commit", "c1", "made"], None),
        (["build", "--no-cache", "-"], dockerfile),
        (["pull", remote], None),
        (["run", "--rm", "base", "ls"], None),
        (["run", "--rm", "base", "sh", "-c", fill], None),
        (["tag", "base", "more"], None),
        (["push", remote], None),
        (["images"], None),
        (["ps", "-a"], None),
        (["image", "prune", "-f"], None),
    ):
        store.attempt(*words, data=data)
    os.unlink(small_disk / "ballast")
    store.whole()
    store("image", "prune", "-f")
    assert store.remains() == []
    store("run", "--rm", "base", "ls")
    store("commit", "c1", "made")
    store("rm", "c1")
    store("system", "reset", "-f")


def fill(disk: Path) -> None:
    for number in range(3):  # what one file has no room for another may have
        with open(disk / f"ballast{number}", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass


@pytest.mark.only("root")
@pytest.mark.parametrize(
    "words",
    [("system", "prune", "-af"), ("rmi", "-f", "base"), ("rm", "c1"), ("builder", "prune", "-af")],
)
def test_a_full_disk_can_be_freed(base: Kobako, place: Path, words: tuple[str, ...]) -> None:
    """Not only the advice fits on it: what removes things has room to write down that it did."""
    disk = place / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "none", str(disk)], check=True)
    try:
        archive = place / "base.tar"
        base("save", "-o", str(archive), "base")
        store = base.at(disk / "store")
        store("load", "-i", str(archive))
        made = b"FROM base\nRUN dd if=/dev/urandom of=/r bs=1M count=1\n"
        store("build", "-q", "-", data=made)
        store("run", "--name", "c1", "base", "ls")
        fill(disk)
        assert "No space left" in store.refuses("create", "base").err
        store(*words)
        store.whole()
        for ballast in disk.glob("ballast*"):
            ballast.unlink()
        store("image", "prune", "-f")
        fill(disk)  # and once more: the room was laid up again
        store("system", "prune", "-af")
        assert store("images", "-aq").out == ""
        store("system", "reset", "-f")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_files_may_not_grow(base: Kobako, place: Path) -> None:
    """RLIMIT_FSIZE: a write that fails in the middle, for whoever cannot mount a small disk."""
    base("run", "--name", "c1", "base", "sh", "-c", "dd if=/dev/urandom of=/r bs=1M count=3")
    base("save", "-o", str(place / "base.tar"), "base")
    base("export", "-o", str(place / "root.tar"), "c1")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, 700_000))

    base("rmi", "-f", "base")
    for words in (
        ["import", str(place / "root.tar"), "imported"],
        ["commit", "c1", "made"],
        ["save", "-o", str(place / "again.tar"), base("ps", "-a", "--format", "{{.Image}}").out],
        ["export", "-o", str(place / "again.tar"), "c1"],
    ):
        result = base.refuses(*words, preexec_fn=limit)
        assert not (place / "again.tar").exists(), result
    base.whole()
    base("image", "prune", "-f")
    assert base.remains() == []
    base("commit", "c1", "made")


def test_damaged_database(base: Kobako) -> None:
    for suffix in ("", "-wal", "-shm"):
        assert (base.root / f"kobako.db{suffix}").exists()
    (base.root / "kobako.db-wal").unlink()
    (base.root / "kobako.db-shm").unlink()
    for content in (b"not a database at all" * 500, b"SQLite format 3\0" + b"\xff" * 8000, b""):
        (base.root / "kobako.db").write_bytes(content)
        for words in (
            ["images"], ["ps"], ["run", "--rm", "base", "ls"], ["fsck"], ["fsck", "--repair"],
            ["system", "prune", "-f"], ["tag", "a", "b"],
        ):  # fmt: skip
            result = base.attempt(*words)
            if words[0] == "ps":
                assert result.code == 0, result  # it does not ask the database
            elif content and words[0] != "fsck":
                named = words[0] == "run" and not result.code  # by a copy of what it said before
                assert named or (result.code and "kobako.db" in result.err), result


def test_flipped_bits(base: Kobako, place: Path) -> None:
    base("build", "-t", "made", "-", data=b"FROM base\nRUN cat /bin/cat > /c\n")
    blobs = base.root / "blobs" / "sha256"
    for blob in sorted(blobs.iterdir()):
        whole = blob.read_bytes()
        mode = blob.stat().st_mode
        blob.chmod(0o644)
        blob.write_bytes(whole[:-1] + bytes([whole[-1] ^ 4]))
        result = base.refuses("fsck")
        assert blob.name[:12] in result.said
        base.attempt("save", "-o", str(place / "x.tar"), "made")
        for words in (["run", "--rm", "made", "ls"], ["images"], ["history", "made"],
                      ["inspect", "made"], ["image", "prune", "-f"]):  # fmt: skip
            base.attempt(*words)
        blob.write_bytes(whole)
        blob.chmod(mode)
        base.whole()


def test_truncated_and_missing_blobs(base: Kobako) -> None:
    blobs = base.root / "blobs" / "sha256"
    for blob in sorted(blobs.iterdir()):
        whole = blob.read_bytes()
        for content in (b"", None):
            blob.unlink()
            if content is not None:
                blob.write_bytes(content)
            base.refuses("fsck")
            for words in (["run", "--rm", "base", "ls"], ["images"], ["history", "base"],
                          ["inspect", "base"], ["save", "-o", "/dev/null", "base"], ["rmi", "x"],
                          ["image", "prune", "-f"], ["ps", "-a"], ["system", "df"]):  # fmt: skip
                base.attempt(*words)
            blob.write_bytes(whole)
    base.whole()
    (sorted(blobs.iterdir())[0]).write_bytes(b"damaged")
    base("fsck", "--repair")
    base.whole()
    base.make_base()
    base("run", "--rm", "base", "ls")


def test_missing_layer_tree(base: Kobako) -> None:
    base("run", "--name", "c1", "base", "ls")
    for tree in sorted(base.root.glob("layers/*/*")):
        os.rename(tree, tree.with_name("away"))
        base("run", "--rm", "base", "ls")  # unpacked again from the blob
        subprocess.run(["rm", "-rf", str(tree.with_name("away"))], check=False)
    base.attempt("start", "-a", "c1")
    base.attempt("commit", "c1", "made")
    base("rm", "c1")


def test_after_a_reboot(base: Kobako) -> None:
    """pid files of another boot: nothing runs, nothing foreign is signalled, all can be started."""
    base("run", "-d", "--name", "c1", "base", "sleep", "1000")
    base("run", "-d", "--rm", "--name", "c2", "base", "sleep", "1000")
    states = sorted(base.root.glob("containers/*/state/pid"))
    documents = [json.loads(path.read_bytes()) for path in states]
    base("kill", "c1")
    assert base("wait", "c1").out == "137"
    state = next(p for p in states if p.exists() and (p.parent / "exit").exists())
    (state.parent / "exit").unlink()
    bystander = subprocess.Popen(["sleep", "100"])
    try:
        for pid, start in ((bystander.pid, 12345), (1, 1), (2**22 - 1, 7), (bystander.pid, 0)):
            document = {**documents[states.index(state)], "pid": pid, "start_time": start}
            state.write_text(json.dumps(document))
            assert "Exited (255)" in base("ps", "-a", "--filter", "name=c1").out
            base.refuses("kill", "c1")
            base.attempt("stop", "c1")
            base.refuses("exec", "c1", "ls")
            base.attempt("pause", "c1")
            assert bystander.poll() is None
        for junk in ("", "{", "[]", "{}", '{"pid": "x"}', "null"):
            state.write_text(junk)
            for words in (["ps", "-a"], ["inspect", "c1"], ["rm", "c1x"], ["system", "df"]):
                base.attempt(*words)
        base("start", "c1")
        assert "Up" in base("ps", "--filter", "name=c1").out
    finally:
        bystander.kill()
        bystander.wait()
        base("rm", "-f", "c1")
        base("rm", "-f", "c2")
    base.whole()


def test_clock_that_was_ahead(base: Kobako) -> None:
    """Everything the store holds is from next year: shown, collected, usable."""
    base.environ["SOURCE_DATE_EPOCH"] = "4102444800"
    base("build", "-t", "future", "-", data=b"FROM base\nRUN ls > /l\n")
    base("create", "--name", "c1", "future", "ls")
    year = 366 * 24 * 3600
    for path in base.root.rglob("*"):
        if path.stat().st_uid == os.getuid() and not path.is_symlink():
            try:
                status = path.stat()
                os.utime(path, (status.st_mtime + year, status.st_mtime + year))
            except OSError:
                pass
    base("images")
    base("ps", "-a")
    base("history", "future")
    base("run", "--rm", "future", "ls")
    base("image", "prune", "-f")
    base.whole()
