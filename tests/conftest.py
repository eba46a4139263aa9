"""What every test may use: who we are, and a real Debian to work on.

The whole suite is run several times by `tests/run`: as root (mode A), as a user without subordinate
ids (mode C) and as a user with them (mode B). A test that only makes sense for one of them says so
with `@pytest.mark.only("root")` (or "user", "mapped", "emulated") and is deselected elsewhere.
A test that no identity can be told by is not repeated for each of them: `ALIKE`.
"""

from __future__ import annotations

import gc
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# No example database (the tree may not be writable for this user) and no deadline (no test may
# depend on the clock).
settings.register_profile("kobako", database=None, deadline=None)
settings.load_profile("kobako")


ALIKE = (
    # Values in, values out; files that belong to who made them; loopback: no namespace is entered,
    # no permission is met, no owner is asked for. Once, then, by who has the least to do else.
    (
        {"mapped"},
        """bake build cli http oci emulate/test_emulate_program.py layer/test_layer_codec.py
        layer/test_layer_tar.py remote/test_remote_auth.py remote/test_remote_docker_registry.py
        remote/test_remote_hostile.py remote/test_remote_interrupt.py runtime/test_runtime_log.py
        runtime/test_runtime_seccomp.py runtime/test_runtime_state.py test_imports.py""".split(),
    ),
    # Root goes by where permissions stop a user. Nobody enters a user namespace, or one of a single
    # id, so a user with subordinate ids is like one without.
    (
        {"root", "emulated"},
        """emulate engine hub image layer linux remote snapshot store test_groups.py
        test_straight.py torture/test_torture_mutations.py""".split(),
    ),
)
"""The identities that stand for all, and the folders and files where they do; of a file the first
entry counts. Others leave these out where `tests/run` has them beside. A test's own mark `only`
goes before."""

_LEFT_OUT = pytest.StashKey[int]()


def identity() -> set[str]:
    """The words `@pytest.mark.only` may use that are true of this process."""
    if os.getuid() == 0:
        return {"root"}
    name = pwd.getpwuid(os.getuid()).pw_name
    with open("/etc/subuid") as lines:
        ranges = any(line.split(":")[0] in (name, str(os.getuid())) for line in lines)
    if ranges and shutil.which("newuidmap"):
        return {"user", "mapped"}
    return {"user", "emulated"}


def pytest_configure(config: pytest.Config) -> None:
    # What a shell puts into the background ignores interrupts, and under nohup hangups; so would
    # what we start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    config.addinivalue_line("markers", "only(*who): runs only as root, user, mapped or emulated")
    config.addinivalue_line("markers", "needs(*programs): tests/run installs them")


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is there before the first test need not be looked at again after each of them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def leaks_are_told_of_the_test_that_leaks() -> Iterator[None]:
    """A file or socket that nobody closed is found here (in half a millisecond), not in whichever
    test is under way when the collector comes round by itself. Set up first, so torn down last."""
    yield
    gc.collect()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        _need(*mark.args)


def _need(*programs: str) -> None:
    """Skip what cannot run for want of a program; `tests/run` as root lets nothing be missing."""
    missing = [p for p in programs if not shutil.which(p, path=f"{os.environ['PATH']}:/usr/sbin")]
    if missing:
        give_up = pytest.fail if os.environ.get("KOBAKO_TEST_REQUIRE") else pytest.skip
        give_up(f"not installed: {', '.join(missing)}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    who = identity()
    wanted, elsewhere = [], []
    for item in items:
        (wanted if all(m & who for m in _meant_for(item)) else elsewhere).append(item)
    config.stash[_LEFT_OUT] = len(elsewhere)
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = wanted


def _meant_for(item: pytest.Item) -> list[set[str]]:
    """Of each of these sets one word must be true of whoever runs the test."""
    marks = [set(mark.args) for mark in item.iter_markers("only")]
    if marks or not os.environ.get("KOBAKO_TEST_BESIDE"):
        return marks
    path = item.path.relative_to(Path(__file__).parent)
    return [who for who, names in ALIKE if path.parts[0] in names or str(path) in names][:1]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """That all the tests asked for are others' is no failure of this identity."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.stash.get(_LEFT_OUT, 0):
        session.exitstatus = pytest.ExitCode.OK


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    """A directory that outlives the run, for what is slow to make."""
    base = os.environ.get("KOBAKO_TEST_CACHE") or os.path.expanduser("~/.cache/kobako-tests")
    path = Path(base)
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="session")
def debian_tar(cache_dir: Path) -> Path:
    """A Debian root filesystem with python3 as an uncompressed tar (216 MB), made by mmdebstrap.

    `tests/run` makes it as root before the suite and names the directory in KOBAKO_TEST_CACHE, so
    that every identity shares it.
    """
    path = cache_dir / "debian-python.tar"
    if not path.exists():
        _need("mmdebstrap")
        part = path.with_suffix(".part.tar")
        include = "--include=python3,python-is-python3"
        subprocess.run(
            ["mmdebstrap", "--variant=minbase", include, "bookworm", str(part)], check=True
        )
        part.rename(path)
    return path
