"""What an image may try to get hold of the program that starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from torture_command import Kobako

WAYS = ("/proc/self/exe", "/proc/thread-self/exe", "/link", "/script", "/script-of-script")
REFUSED = "it leads to the program that starts containers"


@pytest.fixture
def image(kobako: Kobako, place: Path) -> Kobako:
    kobako("image", "from-host", "--name", "base", *"sh ls sleep".split())
    context = place / "context"
    context.mkdir()
    (context / "link").symlink_to("/proc/self/exe")
    (context / "script").write_text("#!/proc/self/exe\n")
    (context / "script-of-script").write_text("#! /script -x\n")
    (context / "Dockerfile").write_text("FROM base\nCOPY --chmod=755 . /\n")
    kobako("build", "-t", "evil", str(context))
    return kobako


def test_our_own_program_is_not_executed(image: Kobako) -> None:
    """CVE-2019-5736: as a program of the image's, with its libraries, it could be written to."""
    image("run", "-d", "--name", "up", "evil", "sleep", "100")
    for way in WAYS:
        for words in (("run", "--rm", "--entrypoint", way, "evil"), ("exec", "up", way)):
            result = image.attempt(*words, "-c", "print('out')")
            assert result.code == 126 and REFUSED in result.err and not result.out, result
    image("rm", "-f", "up")
    built = image.refuses("build", "-", data=b'FROM evil\nRUN ["/link", "-c", "1"]\n')
    assert REFUSED in built.err


def test_programs_of_the_container_are_its_own(image: Kobako) -> None:
    assert image("run", "--rm", "evil", "sh", "-c", "/proc/self/exe -c 'echo 1'").out == "1"
    # The same file where its owner wants it to be seen.
    python = os.path.realpath(sys.executable)
    seen = image.attempt("run", "--rm", "-v", f"{python}:/python:ro", "base", "/python", "-V")
    assert REFUSED not in seen.err


def test_info_tells_of_a_machine_without_a_way(kobako: Kobako) -> None:
    mode = "mapped" if os.getuid() == 0 else "root"
    lines = kobako("--mode", mode, "info").lines
    assert " Privilege Mode: none" in lines and " Storage Driver: none" in lines
    assert any(line.startswith(" Mode A is not used: ") for line in lines)


def test_root_is_emulated_once(kobako: Kobako) -> None:
    """Inside of a container in mode C: the kernel allows one listener."""
    kobako("--mode", "emulated", "image", "from-host", "--name", "base", "ls")
    script = (
        "import os, sys\n"
        "from kobako.linux import process, seccomp\n"
        "process.set_no_new_privs()\n"
        "allow = (6).to_bytes(2, 'little') + bytes(2) + (0x7fff0000).to_bytes(4, 'little')\n"
        "os.set_inheritable(seccomp.install_listener(allow), True)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'kobako', *sys.argv[1:]])\n"
    )
    words = ("--mode", "emulated", "run", "--rm", "base", "ls")
    done = subprocess.run(
        [sys.executable, "-c", script, *words], env=kobako.environ, capture_output=True, text=True
    )
    assert done.returncode == 125
    assert "a container around this one emulates root already" in done.stderr
    assert kobako("ps", "-aq").out == ""
