from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kobako.errors import Conflict, Corrupt, Invalid, NotFound, Unsupported
from kobako.oci import Digest, Index
from kobako.store import CacheRow, ContainerRow, Store
from kobako.store.sqlite import connect

MakeImage = Callable[..., Any]


def container(number: int, name: str = "", image_id: str = "") -> ContainerRow:
    return ContainerRow(f"{number:064x}", name or f"name{number}", image_id, "", number, b"{}")


def test_refs(store: Store, image: MakeImage) -> None:
    row, manifest = image(b"one")
    refs = store.db.refs
    assert refs.get("a") is None
    refs.set("b", manifest.digest)
    refs.set("a", manifest.digest)
    assert refs.get("a") == manifest.digest
    assert isinstance(refs.get("a"), Digest)
    assert [ref.name for ref in refs.list()] == ["a", "b"]
    assert [ref.name for ref in refs.of_image(row.id)] == ["a", "b"]
    other, other_manifest = image(b"two")
    refs.set("a", other_manifest.digest)
    found = refs.row("a")
    assert found is not None
    assert (found.digest, found.image) == (other_manifest.digest, other.id)
    assert refs.delete("a")
    assert not refs.delete("a")


def test_refs_point_to_whole_content_only(store: Store, image: MakeImage) -> None:
    row, manifest = image(b"one", "a")
    layer = manifest.layers[0].digest
    store.blobs.delete(layer)
    with pytest.raises(NotFound, match=str(layer)):
        store.db.refs.set("b", manifest.digest)
    with pytest.raises(NotFound, match=str(layer)):
        store.db.images.add(row)
    absent = Digest.of(b"absent")
    with pytest.raises(NotFound, match=str(absent)):
        store.db.refs.set("b", absent)
    assert store.db.refs.get("b") is None


def test_an_index_may_be_here_in_part(store: Store, image: MakeImage) -> None:
    row, manifest = image(b"one")
    absent = manifest.descriptor.replace(digest=Digest.of(b"other platform"))
    index = Index.build([absent, manifest.descriptor])
    store.blobs.put(index.raw)
    store.db.refs.set("multi", index.digest, row.id)
    assert store.db.images.of_reference("multi") == row


def test_images(store: Store, image: MakeImage) -> None:
    one, manifest = image(b"one", "a")
    two, _ = image(b"two")
    images = store.db.images
    assert images.get(one.id) == one
    assert images.of_reference("a") == one
    assert images.of_reference("b") is None
    assert images.of_manifest(manifest.digest) == one
    assert {row.id for row in images.list()} == {one.id, two.id}
    images.add(two.replace(parent=one.id))
    assert [row.id for row in images.children(one.id)] == [two.id]
    assert images.find(one.id) == images.find(one.id.short) == images.find(one.id[:20]) == one
    assert images.delete(one.id)
    assert store.db.refs.get("a") is None
    assert not images.delete(one.id)


def test_images_are_found_by_unique_prefix(store: Store, image: MakeImage) -> None:
    rows = [image(b"%d" % n)[0] for n in range(20)]  # more than 16: two share their first digit
    first = [row.id.encoded[0] for row in rows]
    shared = next(digit for digit in first if first.count(digit) > 1)
    with pytest.raises(Conflict, match="multiple"):
        store.db.images.find(shared)
    for text in ("", "sha256:", "xyz", "%", "0" * 64):
        with pytest.raises(NotFound, match="No such image"):
            store.db.images.find(text)


def test_a_name_set_before_its_image_is_joined_to_it(store: Store, unrecorded: MakeImage) -> None:
    row, manifest = unrecorded(b"late")
    store.db.refs.set("a", manifest.digest)
    assert store.db.images.of_reference("a") is None
    store.db.images.add(row)
    assert store.db.images.of_reference("a") == row


def test_images_in_use_stay(store: Store, image: MakeImage) -> None:
    row, _ = image(b"one", "a")
    store.db.containers.add(container(1, image_id=row.id))
    with pytest.raises(Conflict, match="being used by container 000000000000"):
        store.db.images.delete(row.id)
    assert store.db.refs.get("a") is not None
    with pytest.raises(NotFound, match="No such image"):
        store.db.containers.add(container(2, image_id=str(Digest.of(b"gone"))))


def test_containers(store: Store) -> None:
    containers = store.db.containers
    one = ContainerRow("ab" * 32, "web", "", "img", 5, b'{"a":1}')
    two = ContainerRow("ac" * 32, "abba", "", "img", 6, b"{}")
    containers.add(one)
    containers.add(two)
    assert containers.get(one.id) == one
    assert containers.find("web") == containers.find("/web") == containers.find("aba") == one
    assert containers.find(one.id) == one
    assert containers.find("abba") == two  # a name goes before a prefix
    with pytest.raises(Conflict, match="multiple IDs found with provided prefix: a"):
        containers.find("a")
    for text in ("", "zzz", "ad", "a%"):
        with pytest.raises(NotFound, match="No such container"):
            containers.find(text)
    assert [row.id for row in containers.list()] == [two.id, one.id]
    with pytest.raises(
        Conflict, match='The container name "/web" is already in use by container "ab'
    ):
        containers.add(container(3, "web"))
    with pytest.raises(Conflict, match="already in use"):
        containers.rename(two.id, "web")
    with pytest.raises(Conflict):
        containers.add(one.replace(name="other"))
    containers.rename(one.id, "web")
    containers.rename(one.id, "api")
    containers.update(one.id, b"[]")
    assert containers.find("api") == one.replace(name="api", spec=b"[]")
    assert containers.delete(one.id)
    assert not containers.delete(one.id)
    for act in (lambda: containers.rename(one.id, "x"), lambda: containers.update(one.id, b"")):
        with pytest.raises(NotFound):
            act()
    with pytest.raises(Invalid, match="hex digits"):
        containers.add(ContainerRow("../../etc", "x", "", "", 1, b""))


def test_cache(store: Store) -> None:
    cache = store.db.cache
    assert cache.get("k") is None
    cache.put(CacheRow("k", b"1", "run", 10))
    cache.put(CacheRow("old", b"2", "copy", 20, 1, 1))
    found = cache.get("k")
    assert found is not None
    assert (found.value, found.kind, found.size, found.uses) == (b"1", "run", 10, 0)
    assert found.used_ns > 1
    cache.touch(["k", "absent"])
    assert [(row.key, row.uses) for row in cache.list()] == [("old", 0), ("k", 1)]
    assert cache.delete("k")
    assert not cache.delete("k")


def test_transactions_are_all_or_nothing_and_nest(store: Store) -> None:
    cache = store.db.cache
    with pytest.raises(RuntimeError), store.db.transaction():
        cache.put(CacheRow("1", b"", "run", 1))
        with store.db.transaction():
            cache.put(CacheRow("2", b"", "run", 1))
        raise RuntimeError
    assert cache.list() == []
    with store.db.transaction():
        cache.put(CacheRow("1", b"", "run", 1))
        with pytest.raises(NotFound):
            store.db.refs.set("absent", Digest.of(b"absent"))
        cache.put(CacheRow("3", b"", "run", 1))
    assert len(cache.list()) == 2


def test_threads_take_turns(store: Store) -> None:
    def work(number: int) -> None:
        for i in range(20):
            with store.db.transaction():
                store.db.cache.put(CacheRow(f"{number * 100 + i}", b"", "run", 1))
            store.db.containers.add(container(number * 100 + i))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.db.containers.list()) == len(store.db.cache.list()) == 160


PROGRAM = """
import os, sys
from kobako.store import ContainerRow, Store
root, worker = sys.argv[1], int(sys.argv[2])
store = Store.open(root)
for i in range(100):
    number = worker * 1000 + i
    store.db.containers.add(ContainerRow(f"{number:064x}", f"n{number}", "", "", number, b"{}"))
os._exit(0)
"""


def test_twenty_processes_write_a_new_store_at_once(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    workers = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, root, str(n)], stderr=subprocess.PIPE)
        for n in range(20)
    ]
    for worker in workers:
        _, errors = worker.communicate()
        assert (worker.returncode, errors) == (0, b"")
    with Store.open(root, create=False) as store:
        assert len(store.db.containers.list()) == 2000
        assert store.db.integrity_faults() == []


def test_opening(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no store at"):
        Store.open(str(tmp_path / "absent"), create=False)
    with Store.open(str(tmp_path / "root")) as store:
        assert os.stat(store.root).st_mode & 0o777 == 0o700
        store.db.containers.add(container(1))
    with pytest.raises(ValueError, match="closed"):
        store.db.refs.list()
    with Store.open(str(tmp_path / "root"), create=False) as store:
        assert len(store.db.containers.list()) == 1


def test_a_newer_schema_is_refused(store: Store) -> None:
    store.db.change("PRAGMA user_version=99")
    with pytest.raises(Unsupported, match=r"newer kobako \(schema 99"):
        Store.open(store.root).db.refs.list()


def test_a_crash_before_the_schema_was_made_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "kobako.db").touch()
    with Store.open(str(tmp_path / "root")) as store:
        assert store.db.refs.list() == []


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "root")) as made:
        assert made.db.refs.list() == []
    (tmp_path / "root" / "kobako.db").write_bytes(b"not a database at all" * 500)
    (tmp_path / "root" / "kobako.db-wal").unlink(missing_ok=True)  # all of it may be there, too
    with pytest.raises(Corrupt, match=r"kobako\.db is damaged") as caught:
        Store.open(str(tmp_path / "root")).db.refs.list()
    assert "fsck" in caught.value.hint


def test_the_journal_is_a_write_ahead_log(store: Store) -> None:
    assert store.db.query("PRAGMA journal_mode") == [("wal",)]
    other = connect(store.db.path)
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
