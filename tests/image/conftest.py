"""A content store, and images put into it by hand."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from kobako.image import mutate
from kobako.image.mutate import Image
from kobako.oci import mediatypes
from kobako.oci.config import History
from kobako.oci.descriptor import Descriptor
from kobako.oci.platform import Platform
from kobako.store import ContentStore, Store

# No database: the tree may belong to another user; no deadline: the machine may be busy.
settings.register_profile("image", database=None, deadline=None)
settings.load_profile("image")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "store")) as opened:
        yield opened


@pytest.fixture
def blobs(store: Store) -> ContentStore:
    return store.blobs


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Callable[[], ContentStore]]:
    """another(): one more store, empty."""
    with contextlib.ExitStack() as opened:
        numbers = itertools.count()
        yield lambda: opened.enter_context(Store.open(f"{tmp_path}/another{next(numbers)}")).blobs


@pytest.fixture
def make_image(blobs: ContentStore) -> Callable[..., Image]:
    """make_image(tar, tar, ..., platform=, family=): an image of these layers in the store."""

    def make(*tars: bytes, **options: Any) -> Image:
        platform = options.get("platform", Platform.host())
        family = options.get("family", mediatypes.OCI_MANIFEST)
        image = mutate.scratch(platform, created="2026-01-02T03:04:05Z", family=family)
        image = mutate.with_config(image, {"Cmd": ["sh"], "Env": ["PATH=/bin"]})
        for tar in tars:
            digest = blobs.put(tar)
            layer = Descriptor(mediatypes.OCI_LAYER, digest, len(tar))
            image = mutate.append_layer(image, layer, digest, History(created_by="test"))
        image.write(blobs)
        return image

    return make
