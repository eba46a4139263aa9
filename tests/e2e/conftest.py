"""One store with a Debian `python` image for all these tests, and registries beside it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_command import Kobako
from e2e_registry import DockerRegistry, HubServer
from e2e_sources import Builder, Site


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A directory whose path is short; what user namespaces left in it goes too."""
    path = Path(tempfile.mkdtemp(prefix="kobako-e2e-"))
    path.chmod(0o755)
    yield path
    for layout in path.glob("*/oci-layout"):
        Kobako(layout.parent, path / "home").attempt("system", "reset", "-f")
    shutil.rmtree(path, ignore_errors=os.getuid() != 0)


@pytest.fixture(scope="session")
def kobako(place: Path, debian_tar: Path) -> Kobako:
    """The command on the store these tests share; it has the image `python`, a Debian."""
    kobako = Kobako(place / "store", place / "home")
    kobako("import", "--change", 'CMD ["python3"]', str(debian_tar), "python")
    return kobako


@pytest.fixture(scope="session")
def small(kobako: Kobako) -> str:
    """An image of a few programs of this machine, for what would be no other with `python`, which
    takes seconds to compress."""
    kobako("image", "from-host", "--name", "small", *"sh cat cp echo ls true".split())
    return "small"


@pytest.fixture
def name(request: pytest.FixtureRequest, kobako: Kobako) -> Iterator[str]:
    """A name of the test's own; containers whose names begin with it are removed afterwards."""
    name = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")
    yield name
    left = kobako("ps", "-aq", "--filter", f"name=^/?{name}").out.split()
    if left:
        kobako("rm", "-f", *left)


@pytest.fixture
def elsewhere(place: Path, kobako: Kobako) -> Iterator[Kobako]:
    """The command on a store of its own, empty."""
    path = Path(tempfile.mkdtemp(dir=place))
    other = kobako.at(path / "store", path / "home")
    yield other
    other.attempt("system", "reset", "-f")
    shutil.rmtree(path, ignore_errors=os.getuid() != 0)


@pytest.fixture(scope="session")
def hub(kobako: Kobako, place: Path) -> Iterator[HubServer]:
    """A hub with accounts; only they push."""
    server = HubServer(kobako, place / "hub")
    yield server
    server.close()


@pytest.fixture(scope="session")
def open_hub(kobako: Kobako, place: Path) -> Iterator[HubServer]:
    """A hub where everybody pushes."""
    server = HubServer(kobako, place / "open-hub", everybody=True)
    yield server
    server.close()


@pytest.fixture(scope="session")
def docker_registry(place: Path) -> Iterator[DockerRegistry]:
    assert shutil.which("docker-registry"), "install Debian's docker-registry"
    server = DockerRegistry(place / "docker-registry")
    yield server
    server.close()


def _served_by(name: str, *who: str) -> object:
    """A registry, and whose tests use it in `tests/run`: what it answers does not depend on who
    asks, so root uses both, and of the users each another one."""
    beside = os.environ.get("KOBAKO_TEST_BESIDE")
    return pytest.param(name, marks=[pytest.mark.only("root", *who)] if beside else [])


@pytest.fixture(
    scope="session",
    params=[_served_by("hub", "mapped"), _served_by("docker-registry", "emulated")],
)
def registry(request: pytest.FixtureRequest) -> str:
    """The address of a registry everybody may push to: ours and Debian's."""
    hub = request.param == "hub"
    server: HubServer | DockerRegistry = request.getfixturevalue(
        "open_hub" if hub else "docker_registry"
    )
    return server.address


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server of files and repositories, empty yet."""
    directory = tmp_path / "www"
    directory.mkdir()
    found = Site(directory)
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def build(kobako: Kobako, tmp_path: Path) -> Builder:
    """`build(dockerfile, *flags)` builds in a context of its own."""
    return Builder(kobako, tmp_path / "context")
