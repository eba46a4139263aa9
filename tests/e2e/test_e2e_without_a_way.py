"""Where nobody may be root in any way, as under docker's seccomp profile: images can be had, named,
saved and sent all the same; what needs a container says why there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_command import Kobako
from e2e_registry import HubServer

from kobako_command import PROGRAM

# Docker's own filter: without CAP_SYS_ADMIN there are neither namespaces nor mounts.
CONFINE = """
import os, sys
from kobako.linux import process, seccomp
from kobako.runtime.seccomp import profile
made = profile.filter_of(profile.section("", []))
process.set_no_new_privs()
seccomp.install(made.program, made.flags)
os.execv(sys.argv[1], sys.argv[1:])
"""
NO_WAY = "no way to start containers as this user"


class Confined(Kobako):
    program = (sys.executable, "-c", CONFINE, *PROGRAM)


@pytest.fixture
def confined(elsewhere: Kobako) -> Iterator[Kobako]:
    yield Confined(elsewhere.root, elsewhere.home)


def test_images_come_and_go(
    confined: Kobako, kobako: Kobako, small: str, open_hub: HubServer, tmp_path: Path
) -> None:
    here, there = f"{open_hub.address}/confined/from:1", f"{open_hub.address}/confined/to:1"
    kobako("tag", small, here)
    kobako("push", "-q", here)
    assert f"Status: Downloaded newer image for {here}" in confined("pull", here).lines
    confined("tag", here, there)
    assert "Mounted from confined/from" in confined("push", there).out
    assert confined("images", "-q", "--no-trunc", there).out == kobako.show("{{.Id}}", small)
    assert "from-host" in confined("history", "--no-trunc", there).out
    archive = str(tmp_path / "saved.tar")
    confined("save", "-o", archive, there)
    assert f"Untagged: {there}" in confined("rmi", there).lines
    confined("rmi", here)
    confined("system", "prune", "-af")
    assert confined("load", "-i", archive).out == f"Loaded image: {there}"
    assert "Images" in confined("system", "df").out
    assert confined("fsck").out == "The store is whole."
    confined.fails("run", "--rm", there, "true", code=125, says=NO_WAY)
    confined.fails("--mode", "emulated", "pull", here, says=NO_WAY)
    # Whoever can unpacks it when it is wanted.
    other = kobako.at(confined.root, confined.home)
    assert other("run", "--rm", there, "echo", "unpacked").out == "unpacked"


def test_what_needs_a_container_says_why_there_is_none(confined: Kobako, tmp_path: Path) -> None:
    confined("image", "from-host", "--name", "base", "sh")
    (tmp_path / "Dockerfile").write_text("FROM base\nRUN true\n")
    confined.fails("build", str(tmp_path), says=NO_WAY)
    confined.fails("create", "base", "sh", says=NO_WAY)
    assert " Privilege Mode: none" in confined("info").lines
