"""Stores to torture, and a registry beside them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from torture_command import Kobako
from torture_registry import Registry


def short_directory() -> Iterator[Path]:
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
def place() -> Iterator[Path]:
    yield from short_directory()


@pytest.fixture
def kobako(place: Path) -> Kobako:
    """The command on an empty store."""
    return Kobako(place / "store", place / "home")


@pytest.fixture
def registry(kobako: Kobako, place: Path) -> Iterator[Registry]:
    served = Registry(kobako, place / "registry")
    yield served
    served.close()


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """A store with the image `base`."""
    for place in short_directory():
        made = Kobako(place / "store", place / "home")
        made.make_base()
        yield made.root


@pytest.fixture
def base(kobako: Kobako, template: Path) -> Kobako:
    """The command on a store with the image `base`: a copy, which takes a tenth of making it."""
    subprocess.run(["cp", "-a", "--reflink=auto", template, kobako.root], check=True)
    return kobako
