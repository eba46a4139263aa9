from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kobako.errors import Conflict, Corrupt, Unavailable
from kobako.oci import Digest, Index
from kobako.store import CacheRow, ContainerRow, Store, fsck, gc, lease, remove_tree
from kobako.store.closure import Closure
from kobako.store.leases import live

Make = Callable[..., Any]


def age(store: Store) -> None:
    """Make everything there as old as the hills."""
    for directory, names, files in os.walk(store.root):
        if Path(directory).is_relative_to(Path(store.root, "layers")):
            for name in names:
                os.utime(Path(directory, name), (1, 1))
        if Path(directory).is_relative_to(Path(store.root, "blobs")):
            for name in files:
                os.utime(Path(directory, name), (1, 1))


def test_what_is_referred_to_stays(store: Store, image: Make) -> None:
    image(b"named", "a", trees=True)
    image(b"unnamed", trees=True)
    before = set(store.blobs)
    age(store)
    report = gc(store)
    assert (report.blobs, report.trees, report.leftovers) == ((), (), 0)
    assert set(store.blobs) == before
    assert fsck(store) == []


def test_what_is_not_goes_with_its_trees(store: Store, image: Make) -> None:
    row, manifest = image(b"one", "a", trees=True)
    kept, _ = image(b"two", "b", trees=True)
    store.db.images.delete(row.id)
    age(store)
    report = gc(store)
    layers = [layer.digest for layer in manifest.layers]
    assert set(report.blobs) == {row.id, row.manifest, *layers}
    assert set(report.trees) == set(row.diff_ids)
    assert report.freed > 0
    assert os.listdir(store.ingest_dir) == []
    assert len(os.listdir(store.layers_dir("native"))) == len(kept.diff_ids)
    assert fsck(store) == []


def test_new_content_has_its_grace(store: Store, tree: Make) -> None:
    digest = store.blobs.put(b"just written, by somebody without a lease")
    tree(Digest.of(b"just unpacked"))
    assert gc(store).blobs == ()
    report = gc(store, grace_seconds=0)
    assert report.blobs == (digest,)
    assert report.trees == (Digest.of(b"just unpacked"),)


def test_a_container_keeps_its_image(store: Store, image: Make) -> None:
    row, _ = image(b"one", "a", trees=True)
    store.db.containers.add(ContainerRow("ab" * 32, "web", row.id, "a", 1, b"{}"))
    store.db.refs.delete("a")
    with pytest.raises(Conflict, match="is being used by container abababababab"):
        store.db.images.delete(row.id)
    age(store)
    report = gc(store)
    assert (report.blobs, report.trees) == ((), ())
    store.db.containers.delete("ab" * 32)
    assert store.db.images.delete(row.id)
    report = gc(store)
    assert len(report.blobs) == 4 and set(report.trees) == set(row.diff_ids)


def test_the_cache_keeps_what_its_values_name(store: Store, unrecorded: Make, tree: Make) -> None:
    row, manifest = unrecorded(b"step")
    loose = store.blobs.put(b"a cached download")
    for diff_id in row.diff_ids:
        tree(diff_id)
    value = f'{{"manifest": "{manifest.digest}", "file": "{loose}", "x": "sha256:abc"}}'
    store.db.cache.put(CacheRow("k", value.encode()))
    age(store)
    report = gc(store)
    assert (report.blobs, report.trees) == ((), ())
    store.db.cache.delete("k")
    report = gc(store)
    assert len(report.blobs) == 5
    assert set(report.trees) == set(row.diff_ids)


def test_indexes_keep_what_is_here_of_them(store: Store, unrecorded: Make) -> None:
    _, here = unrecorded(b"here")
    absent = here.descriptor.replace(digest=Digest.of(b"not here"))
    inner = Index.build([here.descriptor, absent])
    store.blobs.put(inner.raw)
    outer = Index.build([inner.descriptor])
    store.blobs.put(outer.raw)
    store.db.refs.set("multi", outer.digest)
    age(store)
    assert gc(store).blobs == ()
    assert fsck(store) == []


def test_what_arrives_after_a_first_look_is_looked_into(store: Store, unrecorded: Make) -> None:
    row, manifest = unrecorded(b"one")
    store.blobs.delete(manifest.digest)
    closure = Closure(store.blobs)
    assert closure.of([manifest.digest]) == ({manifest.digest}, {manifest.digest})
    store.blobs.put(manifest.raw)
    blobs, trees = closure.of([manifest.digest])
    assert row.id in blobs and set(row.diff_ids) <= trees


def test_extra_roots(store: Store, unrecorded: Make) -> None:
    _, manifest = unrecorded(b"one")
    age(store)
    assert gc(store, roots=[manifest.digest]).blobs == ()
    assert len(gc(store).blobs) == 4


def test_a_lease_keeps_what_was_written_or_found_under_it(store: Store, unrecorded: Make) -> None:
    old = store.blobs.put(b"old")
    found = store.blobs.put(b"found again")
    _, manifest = unrecorded(b"asked for")
    age(store)
    with lease(store, "test") as held:
        written = store.blobs.put(b"written")
        assert store.blobs.exists(found)
        held.keep(manifest.digest)
        report = gc(store, grace_seconds=0)
        assert report.blobs == (old,)
        assert {written, found, manifest.digest} <= set(store.blobs)
    assert list(live(store)) == []
    assert os.listdir(store.ingest_dir) == []
    assert len(gc(store, grace_seconds=-2).blobs) == 6


def test_a_store_that_cannot_be_written_says_which(store: Store) -> None:
    os.rmdir(store.ingest_dir)
    Path(store.ingest_dir).touch()
    with pytest.raises(Unavailable, match=f"cannot begin an operation in {store.root}: Not a dir"):
        lease(store, "test")


def test_a_dead_owners_lease_is_void(store: Store) -> None:
    program = (
        "import os, sys; from kobako.store import Store, lease\n"
        "store = Store.open(sys.argv[1]); held = lease(store, 'dies'); "
        "store.blobs.put(b'x'); writer = store.blobs.writer(); writer.write(b'half')\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, store.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdin is not None
    child.stdout.readline()
    assert gc(store, grace_seconds=0) == gc(store, grace_seconds=0)
    assert len(list(store.blobs)) == 1
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()
    notes = {f.message.split("(")[0].strip() for f in fsck(store)}
    assert notes == {
        "a lease of a process that is gone",
        "remains of a write",
        "a blob that nothing refers to",
    }
    report = gc(store, grace_seconds=0)
    assert report.blobs == (Digest.of(b"x"),)
    assert report.leftovers == 2
    assert fsck(store) == []


def test_nothing_is_removed_while_a_manifest_is_damaged(store: Store, image: Make) -> None:
    row, _ = image(b"one", "a")
    Path(store.blobs.path(row.manifest)).write_bytes(b'{"damaged": 1}')
    store.blobs.put(b"orphan")
    age(store)
    before = set(store.blobs)
    with pytest.raises(Corrupt, match=row.manifest):
        gc(store)
    assert set(store.blobs) == before


def test_remains_of_an_unpacking_and_of_a_killed_gc(store: Store) -> None:
    half = Path(store.layers_dir("native"), "half-done", "tree")
    half.mkdir(parents=True)
    trash = Path(store.ingest_dir, "0.trash", "tree")
    trash.mkdir(parents=True)
    assert {f.severity for f in fsck(store)} == {"note"}
    gc(store)
    assert half.exists()
    assert not trash.exists()
    age(store)
    gc(store)
    assert not half.exists()
    assert fsck(store) == []


def test_the_remover_is_the_callers(store: Store, tree: Make) -> None:
    tree(Digest.of(b"tree"))
    age(store)
    removed = []

    def remove(path: str) -> int:
        removed.append(path)
        return remove_tree(path) * 0 + 7

    assert gc(store, remove_tree=remove).freed == 7
    assert len(removed) == 1


def test_removing_odd_trees(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("stays")
    top = tmp_path / "top"
    top.mkdir()
    (top / "link").symlink_to(outside)
    (top / "shut").mkdir()
    (top / "shut" / "file").write_bytes(bytes(10_000))
    (top / "shut").chmod(0)
    os.mkfifo(top / "fifo")
    os.close(os.open(os.fsencode(top) + b"/\xff\n", os.O_CREAT))
    here = os.open(top, os.O_RDONLY)
    for _ in range(1200):  # longer than PATH_MAX, deeper than recursion or descriptors allow
        os.mkdir("deep", dir_fd=here)
        below = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert remove_tree(str(top)) > 10_000
    assert not top.exists()
    assert (outside / "file").read_text() == "stays"
    assert remove_tree(str(top)) == 0


def test_an_unpacking_under_way_is_left_alone(store: Store) -> None:
    import fcntl

    base = Path(store.layers_dir("native"), Digest.of(b"being unpacked").encoded)
    part = base.with_suffix(".part")
    (part / "tree").mkdir(parents=True)
    with open(base.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        age(store)
        os.utime(lock.name, (1, 1))
        gc(store)
        assert part.exists()
        assert Path(lock.name).exists()
        assert fsck(store) == []
    gc(store)
    assert os.listdir(store.layers_dir("native")) == []
    assert fsck(store) == []
