"""Stores to torture, and a registry beside them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from torture_command import Kobako
from torture_registry import Registry


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory on a disk whose path is short; what user namespaces left in it goes too."""
    path = Path(tempfile.mkdtemp(prefix="kobako-torture-"))
    yield path
    if os.getuid() == 0:
        shutil.rmtree(path)
    else:
        for root in [*path.glob("*/oci-layout"), *path.glob("*/*/oci-layout")]:
            Kobako(root.parent, path / "home").attempt("system", "reset", "-f")
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def kobako(place: Path) -> Kobako:
    """The command on an empty store."""
    return Kobako(place / "store", place / "home")


@pytest.fixture
def registry(kobako: Kobako, place: Path) -> Iterator[Registry]:
    served = Registry(kobako, place / "registry")
    yield served
    served.close()
