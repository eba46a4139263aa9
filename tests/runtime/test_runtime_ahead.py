"""A container whose first process is there before it is known what that will be."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest


def run(box: Any, foreseen: str) -> subprocess.CompletedProcess[str]:
    command = box.prepare("sh", "-c", "cat; echo $$; exit 3", interactive=True, foreseen=foreseen)
    return subprocess.run(
        [*command, "ahead", box.base], input="read\n", capture_output=True, text=True, timeout=60
    )


def test_the_waiting_process_becomes_the_program(box: Any) -> None:
    done = run(box, "this")
    assert (done.stdout, done.returncode) == ("read\n1\n", 3)
    assert (box.state.status, box.state.exit_code) == ("exited", 3)


def test_a_monitor_serves_one_container_after_the_other(box: Any) -> None:
    done = run(box, "this, again and again")
    assert (done.stdout, done.returncode) == ("read\n1\n1\n1\n", 0), done.stderr


def test_the_program_may_use_every_processor(box: Any) -> None:
    """Though its first process begins on another one than its maker is on."""
    script = "grep Cpus_allowed: /proc/self/status /proc/1/status | sort -u"
    command = box.prepare("sh", "-c", script, foreseen="this")
    done = subprocess.run([*command, "ahead", box.base], capture_output=True, text=True, timeout=60)
    with open("/proc/self/status") as file:
        ours = [line for line in file if line.startswith("Cpus_allowed:")]
    assert {line.partition(":")[2] for line in done.stdout.splitlines(keepends=True)} == {*ours}


@pytest.mark.parametrize(
    ("foreseen", "code", "says"),
    [
        ("nothing", 0, ""),
        ("this, taken back", 0, ""),
        ("others", 1, "is not the one that was foreseen"),
    ],
)
def test_nothing_stays_of_a_start_that_is_not_to_be(
    box: Any, foreseen: str, code: int, says: str
) -> None:
    done = run(box, foreseen)
    pid, _, message = done.stderr.partition("\n")
    assert (done.stdout, done.returncode) == ("", code)
    assert says in message
    assert not os.path.exists(f"/proc/{int(pid)}")


SHOWN = """
cut -d' ' -f4- /proc/self/mountinfo | sed 's/ [a-z]*:[0-9]* //; s/[^ ]*dir=[^ ]*//g' | sort
ls -lAR --time-style=+ /dev
for f in kcore keys; do head -c 1 /proc/$f | wc -c; done; echo 1 > /proc/sysrq-trigger
echo 1 > /dev/shm/$$.tmp; cat /dev/shm/$$.tmp; rm /dev/shm/$$.tmp; ls /sys | wc -l; ls /proc/1/ns
cut -d' ' -f5 /proc/self/mountinfo | grep -nx -e / -e /proc | sort -n | head -n 1 | cut -d: -f2
"""
"""Everything that is mounted, and the one of the root and /proc that was made first."""


@pytest.mark.parametrize(
    ("given", "first"),
    [
        ({}, "/proc"),
        ({"network": "host", "ipc": "host"}, "/proc"),
        ({"bare_paths": True}, "/proc"),
        ({"privileged": True}, "/proc"),
        ({"binds": [{"source": "/etc", "target": "/data/etc"}]}, "/proc"),
        ({"binds": [{"source": "/etc", "target": "/proc/fs"}]}, "/"),
        ({"tmpfs": [["/dev/shm", "size=1m"]]}, "/"),
        ({"sysctls": [["net.ipv4.ip_forward", "1"]]}, "/"),
    ],
    ids=str,
)
def test_what_is_mounted_before_there_is_a_root_is_as_if_mounted_in_it(
    box: Any, given: dict[str, Any], first: str
) -> None:
    command = box.prepare("sh", "-c", SHOWN, foreseen="this", **given)

    def shown() -> tuple[str, str, str]:
        done = subprocess.run(
            [*command, "ahead", box.base], capture_output=True, text=True, timeout=60
        )
        *lines, made_first = done.stdout.splitlines()
        return "\n".join(lines), done.stderr.partition("\n")[2], made_first

    plain = shown()  # there is no place yet to mount them on
    for place in ("proc", "dev", "sys"):
        os.makedirs(f"{box.base}/stage/{place}")
    staged = shown()
    assert len(plain[0]) > 1000
    assert staged[:2] == plain[:2]
    assert (plain[2], staged[2]) == ("/", first)
