"""A hub on loopback for as long as a test needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kobako.hub import Hub


@contextmanager
def serving(hub: Hub) -> Iterator[tuple[str, int]]:
    faults: list[BaseException] = []
    server, address = hub.serve("127.0.0.1", 0, on_fault=lambda error, where: faults.append(error))
    yield address
    server.close(grace=5)
    assert not faults, faults
