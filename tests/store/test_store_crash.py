"""kill -9 at any moment leaves a whole store, and the work repeated succeeds."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from kobako.store import Store, fsck, gc

# Works without end: writes images under leases, names, renames and removes them, runs gc.
PROGRAM = """
import os, random, sys
sys.path.insert(0, sys.argv[3])
from store_content import write_image, write_tree
from kobako.store import CacheRow, ContainerRow, Store, gc, lease
store = Store.open(sys.argv[1])
rng = random.Random(int(sys.argv[2]))
print("ready", flush=True)
while True:
    seed = b"%d" % rng.randrange(6)
    with lease(store, "crash test"):
        row, manifest = write_image(store, seed)
        with store.blobs.writer() as writer:
            writer.write(rng.randbytes(50_000))
            writer.commit()
        with store.db.transaction():
            store.db.images.add(row)
            store.db.refs.set("name%d" % rng.randrange(4), manifest.digest)
        store.db.cache.put(CacheRow(seed.decode(), b'"%s"' % manifest.digest.encode()))
    container = os.urandom(32).hex()
    try:
        store.db.containers.add(ContainerRow(container, container, row.id, "", 1, b"{}"))
        store.db.containers.delete(container)
        if rng.random() < 0.5:
            store.db.images.delete(row.id)
            store.db.cache.delete(seed.decode())
    except Exception as error:
        if type(error).__name__ not in ("Conflict", "NotFound"):
            raise
    if rng.random() < 0.3:
        gc(store, grace_seconds=0)
"""


def start(root: Path, seed: int) -> subprocess.Popen[bytes]:
    here = str(Path(__file__).parent)
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(root), str(seed), here],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n", child.communicate()[1]
    return child


def stop(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    _, errors = child.communicate()
    assert errors == b""


def assert_whole(root: Path) -> None:
    with Store.open(str(root)) as store:
        assert [f for f in fsck(store) if f.severity != "note"] == []
        gc(store, grace_seconds=-2)
        assert [f for f in fsck(store) if "container" not in f.message] == []


def test_kill_at_random_moments(tmp_path: Path) -> None:
    root = tmp_path / "root"
    rng = random.Random(20240101)
    for round_number in range(8):
        workers = [start(root, round_number * 10 + n) for n in range(3)]
        for worker in workers:  # each is killed while the others go on
            try:
                worker.wait(rng.uniform(0.0, 0.12))
            except subprocess.TimeoutExpired:
                pass
            stop(worker)
        assert_whole(root)


def test_gc_beside_writers_takes_nothing_they_need(tmp_path: Path) -> None:
    """Collectors without any grace against writers: only leases protect."""
    root = tmp_path / "root"
    workers = [start(root, n) for n in range(4)]
    with Store.open(str(root)) as store:
        for _ in range(25):
            gc(store, grace_seconds=0)
            with store.db.transaction():  # the world stands still: all that is named must be there
                for row in store.db.images.list():
                    store.db.require(row.manifest)
                for ref in store.db.refs.list():
                    store.db.require(ref.digest)
    assert [worker.poll() for worker in workers] == [None] * 4
    for worker in workers:
        stop(worker)
    assert_whole(root)
