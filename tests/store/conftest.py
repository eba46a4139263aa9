"""Stores to test with, and images to put into them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_content import write_image, write_tree

from kobako.oci import Manifest
from kobako.store import ImageRow, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "root")) as store:
        yield store


@pytest.fixture
def image(store: Store) -> Callable[..., tuple[ImageRow, Manifest]]:
    """`image(seed)` writes an image, records it, and names it if told to."""

    def make(seed: bytes, name: str = "", trees: bool = False) -> tuple[ImageRow, Manifest]:
        row, manifest = write_image(store, seed)
        store.db.images.add(row)
        if name:
            store.db.refs.set(name, manifest.digest)
        if trees:
            for diff_id in row.diff_ids:
                write_tree(store, diff_id)
        return row, manifest

    return make


@pytest.fixture
def unrecorded(store: Store) -> Callable[..., tuple[ImageRow, Manifest]]:
    """`unrecorded(seed)` writes an image's blobs alone."""
    return lambda seed: write_image(store, seed)


@pytest.fixture
def tree(store: Store) -> Callable[..., Path]:
    """`tree(diff_id)` makes a finished unpacked layer."""
    return lambda diff_id, ownership="native": write_tree(store, diff_id, ownership)
