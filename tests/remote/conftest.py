"""Fixtures of the remote room's tests."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from remote_servers import QUICK, Hostile, Peer, Request

from kobako.remote.client import Client
from kobako.store.store import Store


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    peer = Peer(tmp_path_factory.mktemp("registry"))
    yield peer
    peer.stop()


@pytest.fixture(scope="session")
def guarded_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    peer = Peer(tmp_path_factory.mktemp("guarded"), {"alice": "se:cret", "bob": "word"})
    yield peer
    peer.stop()


@pytest.fixture
def client() -> Client:
    return Client(limits=QUICK)


@pytest.fixture
def make_store(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    stores: list[Store] = []

    def make() -> Store:
        stores.append(Store.open(str(tmp_path / f"store{len(stores)}")))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(make_store: Callable[[], Store]) -> Store:
    return make_store()


@pytest.fixture
def hostile() -> Iterator[Callable[[Callable[[Request], None]], Hostile]]:
    servers: list[Hostile] = []

    def start(script: Callable[[Request], None]) -> Hostile:
        servers.append(Hostile(script))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """Nothing of ours runs on after a transfer: the process may fork next."""
    yield
    left = [t.name for t in threading.enumerate() if t.name.startswith("kobako")]
    assert not left


@pytest.fixture(scope="session")
def noise() -> bytes:
    return os.urandom(3 << 20)
