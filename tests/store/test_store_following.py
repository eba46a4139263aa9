"""A blob that is read while it is written."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from kobako.errors import Corrupt
from kobako.oci import Digest
from kobako.store import Store
from kobako.store.following import Following


def in_a_thread(read: Callable[[], Any]) -> Callable[[], Any]:
    """Begins to read; what is returned waits for it and gives what came of it."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(read())
        except OSError as fault:
            outcome.append(fault)

    thread = threading.Thread(target=run)
    thread.start()

    def result() -> Any:
        thread.join()
        return outcome[0]

    return result


def test_the_reader_gets_all_of_it(store: Store) -> None:
    data = os.urandom(3_000_001)
    with store.blobs.writer() as writer:
        stream = writer.follow()
        result = in_a_thread(stream.read)
        for start in range(0, len(data), 700_000):
            writer.write(data[start : start + 700_000])
        digest = writer.commit()
        assert result() == data
        assert stream.read(10) == b""
        stream.close()
    assert store.blobs.read(digest) == data


def test_what_is_there_can_be_read_before_the_next_comes(store: Store) -> None:
    with store.blobs.writer() as writer:
        stream = writer.follow()
        writer.write(b"abcdef")
        assert stream.read(4) == b"abcd"
        buffer = bytearray(100)
        assert stream.readinto(buffer) == 2
        assert buffer[:2] == b"ef"
        writer.write(b"g")
        assert stream.read(100) == b"g"
        stream.close()


def test_other_content_than_expected_has_no_end(store: Store) -> None:
    with store.blobs.writer(Digest.of(b"expected")) as writer:
        stream = writer.follow()
        result = in_a_thread(stream.read)
        writer.write(b"something else")
        with pytest.raises(Corrupt):
            writer.commit()
        assert isinstance(result(), OSError)
        stream.close()


def test_a_write_that_is_given_up_has_no_end(store: Store) -> None:
    stream: Following
    with store.blobs.writer() as writer:
        stream = writer.follow()
        result = in_a_thread(stream.read)
        writer.write(b"some")
    assert isinstance(result(), OSError)
    stream.close()
