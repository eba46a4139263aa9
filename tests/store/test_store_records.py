"""The records of containers, and the copies of what names mean."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kobako.errors import Conflict, Invalid, NotFound
from kobako.store import ContainerRow, Store, fsck, records, schema
from kobako.store.containers import decoded, encoded

MakeImage = Callable[..., Any]


def row(number: int, name: str = "", **more: str) -> ContainerRow:
    return ContainerRow(f"{number:064x}", name or f"n{number}", "", "", number, b"{}").replace(
        **more
    )


def of_kind(store: Store, kind: str) -> list[str]:
    return sorted(os.listdir(store.db.records.path(kind)))


def test_a_record_is_what_was_added(store: Store) -> None:
    one = row(1, "web", image_ref="\u7bb1:latest").replace(spec=b"{\n\n}\n\xff")
    store.db.containers.add(one)
    with Store.open(store.root) as again:
        assert again.db.containers.find("web") == again.db.containers.get(one.id) == one
    assert decoded(encoded(one)) == one
    for broken in (b"", encoded(one)[:40], b"2" + encoded(one)[1:]):
        assert decoded(broken) is None


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".", "..", ".hidden", "a\nb"])
def test_a_name_is_never_a_path(store: Store, name: str) -> None:
    with pytest.raises(Invalid):
        store.db.containers.add(row(1, "x").replace(name=name))
    assert of_kind(store, "containers") == of_kind(store, "names") == []
    for text in (name, "\0", "x" * 5000, "../refs"):
        with pytest.raises(NotFound):
            store.db.containers.find(text)


def test_what_a_killed_process_leaves_is_in_nobodys_way(store: Store) -> None:
    """Between its two steps an addition leaves a name, as a removal does; a change, a file more."""
    containers = store.db.containers
    containers.add(row(1, "kept"))
    left = store.db.records.path("names", "left")
    records.write(left, encoded(row(9, "left")))
    records.write(store.db.records.path("names", "torn"), b"")
    records.write(store.db.records.path("names", "other"), encoded(row(1, "other")))
    records.write(store.db.records.path("containers", "new"), b"half")
    assert [c.name for c in containers.list()] == ["kept"]
    for name in ("left", "torn", "other"):
        with pytest.raises(NotFound):
            containers.find(name)
    found = {(f.severity, f.subject) for f in fsck(store)}
    assert {("note", name) for name in ("left", "torn", "other")} == found
    containers.add(row(2, "left"))
    containers.rename(row(1).id, "torn")
    assert [c.name for c in containers.list()] == ["left", "torn"]
    fsck(store, repair=True)
    assert fsck(store) == []
    assert of_kind(store, "names") == ["left", "torn"]
    assert of_kind(store, "containers") == [row(1).id, row(2).id]


def test_a_damaged_record_is_an_error_and_hides_no_other(store: Store) -> None:
    containers = store.db.containers
    for number in (1, 2):
        containers.add(row(number))
    with open(store.db.records.path("containers", row(1).id), "wb") as file:
        file.write(b"1\nwhat a power cut left")
    assert [c.id for c in containers.list()] == [row(2).id]
    assert row(1).id in containers.ids()  # so that nobody takes its files for remains
    assert [f.severity for f in fsck(store) if "damaged" in f.message] == ["error"]
    fsck(store, repair=True)
    assert [f for f in fsck(store) if f.severity == "error"] == []
    containers.add(row(1))


def test_a_name_is_copied_until_it_means_something_else(store: Store, image: MakeImage) -> None:
    one, two = image(b"one")[0], image(b"two")[0]
    assert store.db.named.get("a") is None and of_kind(store, "refs") == []
    store.db.refs.set("a", one.manifest)
    store.db.refs.set("x/y:z", one.manifest)
    for name in ("a", "x/y:z"):
        assert store.db.named.get(name) == (one, one.manifest)
    assert of_kind(store, "refs") == ["a", "x%y:z"]
    with Store.open(store.root) as again:
        assert again.db.named.get("a") == (one, one.manifest)
        assert again.db._connection is None, "it has not been opened"
    store.db.refs.set("b", two.manifest)
    assert of_kind(store, "refs") == []
    assert store.db.named.get("a") == (one, one.manifest)
    store.db.refs.set("a", two.manifest)
    assert store.db.named.get("a") == (two, two.manifest)
    store.db.refs.delete("a")
    assert store.db.named.get("a") is None
    assert store.db.named.get("b") == (two, two.manifest)
    store.db.images.delete(two.id)
    assert store.db.named.get("b") is None
    long = "n" * 300
    store.db.refs.set(long, one.manifest)
    assert store.db.named.get(long) == (one, one.manifest)
    assert of_kind(store, "refs") == []


def test_a_damaged_copy_is_not_believed(store: Store, image: MakeImage) -> None:
    one = image(b"one")[0]
    store.db.refs.set("a", one.manifest)
    assert store.db.named.get("a")
    copy = Path(store.db.records.path("refs", "a"))
    said = copy.read_bytes()
    boot = said.partition(b"\n")[0]
    assert len(boot) == len("01234567-0123-0123-0123-0123456789ab")
    of_another_boot = said.replace(boot, boot[::-1]).replace(
        one.id.encode(), b"sha256:" + b"0" * 64
    )
    for content in (b"", boot + b"\nsha256:0", of_another_boot):
        copy.write_bytes(content)
        assert store.db.named.get("a") == (one, one.manifest)
        assert copy.read_bytes() == said


def test_what_was_made_of_a_config_is_kept_with_the_names(store: Store, image: MakeImage) -> None:
    one = image(b"one")[0]
    assert store.db.named.document(one.id) is None
    store.db.named.keep_document(one.id, b'{"Cmd":["x"]}\n')
    with Store.open(store.root) as again:
        assert again.db.named.document(one.id) == b'{"Cmd":["x"]}\n'
    store.db.refs.set("a", one.manifest)
    assert store.db.named.document(one.id) is None
    kept = Path(store.db.records.path("images", one.id.encoded))
    for content in (b"", b"of another boot\n{}"):
        kept.write_bytes(content)
        assert store.db.named.document(one.id) is None


def test_no_copy_is_made_of_what_is_just_changed(store: Store, image: MakeImage) -> None:
    one, two = image(b"one")[0], image(b"two")[0]
    store.db.refs.set("a", one.manifest)
    with Store.open(store.root) as other:
        with store.db.transaction():
            store.db.refs.set("a", two.manifest)
            assert other.db.named.get("a") == (one, one.manifest)
            assert store.db.named.get("a") == (two, two.manifest)
            assert of_kind(store, "refs") == []
        assert other.db.named.get("a") == (two, two.manifest)
        with pytest.raises(RuntimeError), store.db.transaction():
            store.db.refs.set("a", one.manifest)
            raise RuntimeError
        assert other.db.named.get("a") == (two, two.manifest)


def test_an_image_that_is_going_gets_no_container(store: Store, image: MakeImage) -> None:
    one = image(b"one")[0]
    store.db.refs.set("a", one.manifest)
    with Store.open(store.root) as other:
        assert other.db.named.get("a")
        store.db.images.delete(one.id)
        with pytest.raises(NotFound, match="No such image"):
            other.db.containers.add(row(1, image_id=one.id))
        store.db.images.add(one)
        other.db.containers.add(row(1, image_id=one.id))
        with pytest.raises(Conflict, match="is being used by container"):
            store.db.images.delete(one.id)


def test_who_keeps_documents_is_in_no_writers_way(store: Store, image: MakeImage) -> None:
    """A copy that is just made is not to be removed: it has another name a moment later."""
    one = image(b"one")[0]
    parent, child = os.getpid(), os.fork()
    if child == 0:
        with Store.open(store.root) as other:
            while os.getppid() == parent:
                other.db.named.keep_document(one.id, b"{}")
        os._exit(0)
    try:
        for turn in range(300):
            store.db.refs.set(f"a{turn % 7}", one.manifest)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


RACE = """
import os, sys
from kobako.errors import Conflict, NotFound
from kobako.store import ContainerRow, Store
root, who, image_id, manifest = sys.argv[1:]
with Store.open(root) as store:
    row = store.db.images.get(image_id)
    for _ in range(150):
        identity = os.urandom(32).hex()
        try:
            if who == "remover":
                store.db.images.delete(image_id)
                store.db.images.add(row)
                store.db.refs.set("a", row.manifest)
            elif store.db.named.get("a"):
                store.db.containers.add(ContainerRow(identity, identity, image_id, "a", 1, b"{}"))
                assert Store.open(root).db.images.get(image_id), "it went from under a container"
                store.db.containers.delete(identity)
        except (Conflict, NotFound):
            pass
"""


def test_no_image_goes_from_under_a_new_container(store: Store, image: MakeImage) -> None:
    one = image(b"one")[0]
    store.db.refs.set("a", one.manifest)
    words = [sys.executable, "-c", RACE, store.root]
    working = [
        subprocess.Popen([*words, who, one.id, one.manifest], stderr=subprocess.PIPE)
        for who in ("remover", "adder", "adder")
    ]
    for process in working:
        assert process.communicate(timeout=100)[1] == b""


KILLED = """
import sys
from kobako.errors import Conflict, NotFound
from kobako.store import ContainerRow, Store
containers = Store.open(sys.argv[1]).db.containers
print(flush=True)
number = int(sys.argv[2])
while True:
    for name in ("one", "two"):
        identity = f"{number:064x}"
        try:
            containers.add(ContainerRow(identity, name, "", "", number, b"{}"))
            containers.update(identity, b"[]")
            containers.rename(identity, name + "-renamed")
            containers.rename(identity, name)
        except Conflict:
            pass
        containers.delete(identity)
"""


def test_killed_at_any_moment_it_is_whole(store: Store) -> None:
    chance = random.Random(7)
    containers = store.db.containers
    for _ in range(60):
        several = [
            subprocess.Popen(
                [sys.executable, "-c", KILLED, store.root, str(number)], stdout=subprocess.PIPE
            )
            for number in (1, 2)
        ]
        for process in several:
            assert process.stdout is not None
            process.stdout.readline()
        time.sleep(chance.random() * 0.02)
        for process in several:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert [f for f in fsck(store) if f.severity != "note"] == []
        for left in containers.list():
            assert containers.find(left.name) == left
            containers.delete(left.id)
        containers.add(row(9, "one"))
        containers.delete(row(9).id)
        assert containers.list() == []


def age(root: Path, rows: list[ContainerRow]) -> None:
    """Makes the database one of schema 2, which has a table of containers."""
    database = sqlite3.connect(root / "kobako.db", isolation_level=None)
    database.execute(next(t for step in schema._STEPS for t in step if "TABLE containers (" in t))
    for one in rows:
        database.execute("INSERT INTO containers VALUES (?, ?, ?, ?, ?, ?)", one.as_tuple())
    database.execute("PRAGMA user_version=2")
    database.close()


def test_containers_of_an_older_store_are_taken_over_once(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with Store.open(str(root)) as store:
        assert store.db.refs.list() == []
    age(root, [row(1), row(2, "web")])
    shutil.rmtree(root / "records")
    (root / "records.part/names").mkdir(parents=True)  # of one that was killed on the way
    with Store.open(str(root)) as store:
        assert store.db.containers.find("web") == row(2, "web")
        assert store.db.containers.list() == [row(2, "web"), row(1)]
        assert fsck(store) == []
        store.db.containers.delete(row(1).id)
    assert not (root / "records.part").exists()
    age(root, [row(1), row(2, "web")])  # killed when the records were there, before it was said
    with Store.open(str(root)) as store:
        assert store.db.refs.list() == []
        assert store.db.containers.list() == [row(2, "web")]
