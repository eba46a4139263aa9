"""Other tools start what we make: crun and runc our bundles, podman our images, and we podman's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_command import Kobako
from e2e_registry import HubServer

FOREIGN = str(Path(__file__).with_name("foreign_runtime.py"))
SMALL = "sh cat id env hostname ls touch stat".split()


@pytest.fixture(scope="module")
def tools(kobako: Kobako) -> str:
    """A small image of this machine's programs."""
    kobako("image", "from-host", "--name", "tools", *SMALL)
    return "tools"


@pytest.mark.only("root")
@pytest.mark.needs("crun", "runc")
@pytest.mark.parametrize("runtime", [("crun", "--cgroup-manager=disabled"), ("runc",)])
def test_a_bundle_starts_unchanged(
    kobako: Kobako, tools: str, name: str, runtime: tuple[str, ...]
) -> None:
    """The same words, identity, environment and exit code under either as under ours."""
    script = (
        "id -u; id -g; hostname; cat /etc/hostname; echo $A; echo *; stat -c %a /dev/null /tmp;"
        " cat /proc/self/status | while read k v; do case $k in Cap*|NoNewPrivs:) echo $k $v;;"
        " esac; done; touch /tmp/made && exit 7"
    )
    words = ["--network", "none", "-e", "A=b", "-w", "/usr", "--hostname", "box", "-u", "12:34",
             "--tmpfs", "/tmp"]  # fmt: skip
    ours = kobako.attempt("run", "--rm", *words, tools, "sh", "-c", script)
    assert ours.code == 7 and ours.lines[:5] == ["12", "34", "box", "box", "b"]
    kobako("create", "--name", name, *words, tools, "sh", "-c", script)
    # Two runs of the test may meet on one machine: the runtime's name for it is the container's id.
    container = kobako.show("{{.Id}}", name)
    command = [sys.executable, FOREIGN, str(kobako.root), name, *runtime]
    done = subprocess.run(
        [*command, "run", "--bundle", ".", container],
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 7, done
    assert done.stdout.splitlines() == ours.lines
    # What it changed lies where ours would have put it: `diff` and `commit` know.
    subprocess.run([*command, "delete", "-f", container], capture_output=True, timeout=60)
    assert kobako("diff", name).out == ""


class Podman:
    """podman on a storage of its own; `run` by the runtime that works on this machine, if any."""

    # Without CAP_SYS_RESOURCE podman's default limits are refused, so they are given.
    RUN = ("run", "--rm", "--network", "none",
           "--ulimit", "nofile=256:256", "--ulimit", "nproc=256:256")  # fmt: skip

    def __init__(self, place: str) -> None:
        # podman would make it for root alone, and then no other user's skopeo can look into it.
        os.makedirs("/run/containers", mode=0o755, exist_ok=True)
        self.words = ["podman", "--root", f"{place}/root", "--runroot", f"{place}/run",
                      "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]  # fmt: skip

    def attempt(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.words, *words],
            capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def __call__(self, *words: str) -> str:
        done = self.attempt(*words)
        assert done.returncode == 0, done
        return done.stdout.strip()

    def way_to_run(self, root: Path) -> list[str]:
        """The words that run a file system that never was ours; none when nothing runs here."""
        self("import", str(root), "localhost/control:1")
        for way in (["--runtime", "runc"], ["--runtime", "crun"]):
            for more in ([], ["--cgroups=disabled"]):
                words = [*way, *self.RUN, *more]
                done = self.attempt(*words, "localhost/control:1", "/bin/sh", "-c", "echo control")
                if done.stdout == "control\n":
                    return words
        return []


@pytest.fixture
def podman() -> Iterator[Podman]:
    place = tempfile.mkdtemp(prefix="kobako-podman-")  # podman wants a path below 50 characters
    yield Podman(place)
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.only("root")
@pytest.mark.needs("podman", "crun", "runc")
def test_podman_and_we_agree(
    kobako: Kobako, elsewhere: Kobako, open_hub: HubServer, tools: str, podman: Podman,
    name: str, tmp_path: Path,
) -> None:  # fmt: skip
    ours, theirs = f"{open_hub.address}/podman/ours", f"{open_hub.address}/podman/theirs"
    kobako("create", "--name", name, tools, "true")
    kobako("commit", "-c", 'CMD ["sh", "-c", "echo $MADE $(id -u)"]', "-c", "ENV MADE=here",
           "-c", "USER 12", name, ours)  # fmt: skip
    kobako("push", "-q", ours)
    podman("pull", "-q", "--tls-verify=false", ours)
    assert podman("inspect", "-f", "{{.Id}}", ours) == kobako.show("{{.Id}}", ours)[7:]
    kobako("export", "-o", str(tmp_path / "root.tar"), name)
    way = podman.way_to_run(tmp_path / "root.tar")
    if way:  # podman runs here: then it runs ours
        assert podman(*way, ours) == "here 12"
    # And back: podman's own commit, in either family of media types.
    for family in ("oci", "docker"):
        container = podman("create", ours, "true")
        podman("commit", "-q", "-f", family, "-c", "ENV MADE=there", container, theirs)
        podman("push", "-q", "--tls-verify=false", "-f", {"oci": "oci", "docker": "v2s2"}[family],
               theirs)  # fmt: skip
        elsewhere("pull", "-q", theirs)
        assert elsewhere("run", "--rm", theirs, "sh", "-c", "echo $MADE $(id -u)").out == "there 12"
    kobako("rmi", ours)
