from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mode_c_container import HERE, Container


def in_user_namespace(*command: object) -> None:
    """What a container wrote may be of mode 000: only root of the namespace can remove it."""
    subprocess.run(["unshare", "--user", "--map-root-user", *map(str, command)], check=True)


@pytest.fixture(scope="session")
def debian(debian_tar: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    base = tmp_path_factory.mktemp("debian") / "layer"
    command = [sys.executable, str(HERE / "unpack.py"), str(debian_tar), str(base)]
    subprocess.run(command, check=True)
    yield base / "tree"
    in_user_namespace("rm", "-rf", base)


@pytest.fixture
def container(debian: Path, tmp_path: Path) -> Iterator[Container]:
    base = tmp_path / "container"
    base.mkdir()
    yield Container(debian, base)
    in_user_namespace("rm", "-rf", base)


@pytest.fixture
def another(debian: Path, tmp_path: Path) -> Callable[[str], Container]:
    """Further containers, whose directories the first one's fixture does not remove."""

    def make(name: str) -> Container:
        base = tmp_path / "container" / name
        base.mkdir()
        return Container(debian, base)

    return make
