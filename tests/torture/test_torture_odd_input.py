"""What a command is pointed at is no ordinary file: it says so, and waits for nobody."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from torture_command import Kobako


@pytest.fixture
def context(place: Path) -> Path:
    path = place / "context"
    path.mkdir()
    return path


@pytest.mark.parametrize("named", [True, False], ids=["by -f", "by default"])
def test_a_fifo_is_no_dockerfile(kobako: Kobako, context: Path, named: bool) -> None:
    os.mkfifo(context / "Dockerfile")
    words = ("-f", str(context / "Dockerfile")) if named else ()
    refused = kobako.refuses("build", *words, str(context), timeout=20)
    assert "Dockerfile is a FIFO and no file" in refused.err
    assert "kobako build -f -" in refused.err


def test_devices_sockets_and_directories_are_no_dockerfiles(kobako: Kobako, context: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(context / "socket"))
        for path, said in (
            ("/dev/zero", "/dev/zero is a device and no file"),
            (str(context), f"open {context}: Is a directory"),
            (str(context / "socket"), "socket: No such device or address"),
        ):
            assert said in kobako.refuses("build", "-f", path, str(context), timeout=20).err


def test_a_pipe_of_the_shell_is_read(kobako: Kobako, context: Path) -> None:
    """`kobako build -f <(echo FROM scratch)`."""
    (context / "a").write_text("a")
    reader, writer = os.pipe()
    os.write(writer, b"FROM scratch\nCOPY a /\n")
    os.close(writer)
    try:
        built = kobako("build", "-f", f"/dev/fd/{reader}", str(context), pass_fds=(reader,))
    finally:
        os.close(reader)
    assert "Successfully built" in built.out


def test_an_endless_dockerfile_is_not_read_to_its_end(kobako: Kobako, context: Path) -> None:
    with open("/dev/zero", "rb") as endless:
        refused = kobako.refuses("build", "-f", "-", str(context), stdin=endless)
    assert "it is longer than 64 MiB" in refused.err
