from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from kobako.errors import Corrupt, Denied, Invalid, NotFound, Unavailable
from kobako.oci import Digest
from kobako.store import Store
from kobako.store.failures import failed


def ingest(store: Store) -> list[str]:
    return os.listdir(store.ingest_dir)


def test_put_and_read(store: Store) -> None:
    digest = store.blobs.put(b"content")
    assert digest == Digest.of(b"content")
    assert store.blobs.read(digest) == b"content"
    assert store.blobs.size(digest) == 7
    assert store.blobs.exists(digest)
    assert Path(store.root, "blobs/sha256", digest.encoded).read_bytes() == b"content"
    assert store.blobs.put(b"content") == digest
    assert store.blobs.put(b"") == Digest.EMPTY
    assert store.blobs.read(Digest.EMPTY) == b""
    assert set(store.blobs) == {digest, Digest.EMPTY}
    assert ingest(store) == []


def test_writer_in_pieces(store: Store) -> None:
    data = os.urandom(3_000_000)
    with store.blobs.writer(Digest.of(data), len(data)) as writer:
        for start in range(0, len(data), 100_001):
            writer.write(memoryview(data)[start : start + 100_001])
        assert writer.size == len(data)
        digest = writer.commit()
    with store.blobs.open(digest) as stream:
        assert stream.read() == data
        assert stream.tell() == len(data)
    with store.blobs.open(digest) as stream:
        buffer = bytearray(1 << 16)
        read = bytearray()
        while count := stream.readinto(buffer):
            read += buffer[:count]
        assert read == data


def test_sha512_content(store: Store) -> None:
    import hashlib

    digest = Digest.parse("sha512:" + hashlib.sha512(b"x").hexdigest())
    with store.blobs.writer(digest) as writer:
        writer.write(b"x")
        assert writer.commit() == digest
    assert store.blobs.read(digest) == b"x"
    assert list(store.blobs) == [digest]


def test_wrong_content_is_refused_and_leaves_nothing(store: Store) -> None:
    other = Digest.of(b"other")
    with store.blobs.writer(other) as writer:
        writer.write(b"content")
        with pytest.raises(Corrupt, match="has other content"):
            writer.commit()
    with store.blobs.writer(other, 9) as writer:
        writer.write(b"other")
        with pytest.raises(Corrupt, match="5 bytes instead of 9"):
            writer.commit()
    with store.blobs.writer(other, 3) as writer, pytest.raises(Corrupt, match="longer than"):
        writer.write(b"other")
    with store.blobs.writer() as writer:
        writer.write(b"abandoned")
    assert list(store.blobs) == []
    assert ingest(store) == []


def test_a_finished_writer_takes_no_more(store: Store) -> None:
    with store.blobs.writer() as writer:
        writer.write(b"x")
        writer.commit()
        with pytest.raises(ValueError, match="committed"):
            writer.write(b"y")
        with pytest.raises(ValueError, match="committed"):
            writer.commit()


def test_damage_is_seen_by_every_reader(store: Store) -> None:
    digest = store.blobs.put(b"content")
    for damage in (b"CONTENT", b"conten", b"content!", b""):
        Path(store.blobs.path(digest)).write_bytes(damage)
        with pytest.raises(Corrupt, match="damaged"):
            store.blobs.read(digest)
        with store.blobs.open(digest) as stream, pytest.raises(Corrupt, match="damaged"):
            stream.read()


def test_a_truncated_blob_is_healed_by_the_next_put(store: Store) -> None:
    digest = store.blobs.put(b"content")
    Path(store.blobs.path(digest)).write_bytes(b"con")
    assert store.blobs.put(b"content") == digest
    assert store.blobs.read(digest) == b"content"


def test_missing_and_too_big(store: Store) -> None:
    absent = Digest.of(b"absent")
    for act in (store.blobs.read, store.blobs.size, store.blobs.open):
        with pytest.raises(NotFound, match=str(absent)):
            act(absent)
    assert not store.blobs.exists(absent)
    assert not store.blobs.delete(absent)
    with pytest.raises(Invalid, match="more than the 3 expected"):
        store.blobs.read(store.blobs.put(b"content"), limit=3)


def test_a_hit_is_new_to_gc(store: Store) -> None:
    digest = store.blobs.put(b"content")
    path = store.blobs.path(digest)

    def write() -> Digest:
        with store.blobs.writer() as writer:
            writer.write(b"content")
            return writer.commit()

    inode = os.stat(path).st_ino
    for hit in (lambda: store.blobs.exists(digest), lambda: store.blobs.put(b"content"), write):
        os.utime(path, (1, 1))
        hit()
        assert os.stat(path).st_mtime > 1_000_000
    assert os.stat(path).st_ino == inode


def test_what_is_there_is_not_synced_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(fd) or sync(fd))
    for expected in (2, 2):  # the file and its directory
        with store.blobs.writer() as writer:
            writer.write(b"content")
            writer.commit()
        assert len(synced) == expected
    assert ingest(store) == []


def test_many_threads_put_the_same(store: Store) -> None:
    data = os.urandom(300_000)
    found: list[Digest] = []

    def write() -> None:
        with store.blobs.writer() as writer:
            writer.write(data)
            found.append(writer.commit())

    threads = [threading.Thread(target=write) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Digest.of(data)] * 10
    assert ingest(store) == []


def test_what_the_system_says_becomes_ours() -> None:
    import errno

    assert isinstance(failed("x", "/r", OSError(errno.ENOSPC, "no space")), Unavailable)
    assert isinstance(failed("x", "/r", OSError(errno.EROFS, "read-only")), Denied)
    assert isinstance(failed("x", "/r", OSError(errno.EIO, "input/output")), Unavailable)


@pytest.mark.only("root")
def test_a_full_disk(tmp_path: Path) -> None:
    """On a real file system of one megabyte, in a mount namespace of its own."""
    import subprocess
    import sys

    program = """
import sys
from kobako.errors import Unavailable
from kobako.store import ContainerRow, Store
store = Store.open(sys.argv[1])
try:
    with store.blobs.writer() as writer:
        while True:
            writer.write(bytes(65536))
except Unavailable as error:
    assert "no space left" in str(error) and "prune" in error.hint, error
try:
    number = 0
    while True:
        row = ContainerRow(f"{number:064x}", f"n{number}", "", "", 1, bytes(60000))
        store.db.containers.add(row)
        number += 1
except Unavailable as error:
    assert "no space left" in str(error), error
assert store.db.integrity_faults() == []
print("held", len(store.db.containers.list()) == number)
"""
    script = f'mount -t tmpfs -o size=1m none {tmp_path} && exec "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", program, f"{tmp_path}/r"],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "held True\n", done.stderr
