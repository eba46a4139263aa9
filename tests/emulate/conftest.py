from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent


class Container:
    """Runs commands in fresh mode C containers over one Debian."""

    def __init__(self, lower: Path, base: Path) -> None:
        self.lower = lower
        self.base = base

    @property
    def upper(self) -> Path:
        return self.base / "upper"

    def run(self, *command: str, options: tuple[str, ...] = (), code: int = 0) -> str:
        """The command's output; fails unless it ends with `code`."""
        driver = [sys.executable, "-I", str(HERE / "mode_c.py"), str(self.lower), str(self.base)]
        done = subprocess.run(
            [*driver, *options, "--", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def sh(self, script: str, *, options: tuple[str, ...] = (), code: int = 0) -> str:
        return self.run("sh", "-ec", script, options=options, code=code)

    def python(self, script: str, *, options: tuple[str, ...] = ()) -> str:
        return self.run("python3", "-c", script, options=options)


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
