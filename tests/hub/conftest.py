"""Hubs on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hub_client import Client
from hub_serving import serving

from kobako.hub import ADMIN, Hub, Options


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub with the accounts root1 (admin), alice and bob."""
    with Hub.open(tmp_path / "hub") as hub:
        hub.accounts.add("root1", "password-root1", role=ADMIN)
        hub.accounts.add("alice", "password-alice")
        hub.accounts.add("bob", "password-bob")
        yield hub


@pytest.fixture
def connect(hub: Hub) -> Iterator[Callable[..., Client]]:
    """Makes clients of `hub`."""
    with serving(hub) as address, ExitStack() as clients:
        yield lambda login="", token="": clients.enter_context(Client(address, login, token))


@pytest.fixture
def open_hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub.open(tmp_path / "open", Options(open=True)) as hub:
        yield hub


@pytest.fixture
def client(open_hub: Hub) -> Iterator[Client]:
    """A client of a hub that lets anybody push."""
    with serving(open_hub) as address, Client(address) as client:
        yield client
