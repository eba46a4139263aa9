"""One store with the base images for all cases."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from conformance_builder import Builder


@pytest.fixture(scope="session")
def builder() -> Iterator[Builder]:
    place = Path(tempfile.mkdtemp(prefix="kobako-conformance-"))
    with Builder(place) as builder:
        yield builder
        builder.run("system", "reset", "-f")
    shutil.rmtree(place, ignore_errors=os.getuid() != 0)
