"""The seccomp profile of containers: what is refused, by which words it is changed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from e2e_command import Kobako

# What unshare(CLONE_NEWUTS), keyctl, clone3 and open_tree say, and whether there is a filter.
ASK = """
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
numbers = {"x86_64": (272, 250, 435, 428), "aarch64": (97, 219, 435, 428)}[platform.machine()]
for number, first in zip(numbers, (0x4000000, 99, 0, -1)):
    ctypes.set_errno(0)
    libc.syscall(number, first, 0, 0)
    print(errno.errorcode.get(ctypes.get_errno(), "none"), end=" ")
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("Seccomp:")][0])
"""
CONFINED = "EPERM EPERM ENOSYS EPERM 2"
OPEN = ["none", "ENOTSUP", "EINVAL", "EFAULT"]


def test_a_container_is_confined(kobako: Kobako) -> None:
    assert kobako("run", "--rm", "python", "python3", "-c", ASK).out == CONFINED
    assert kobako("run", "--rm", "-u", "7", "python", "python3", "-c", ASK).out == CONFINED


def test_what_is_executed_in_it_is_too(kobako: Kobako, name: str) -> None:
    kobako("run", "-d", "--name", name, "python", "sleep", "1000")
    assert kobako("exec", name, "python3", "-c", ASK).out == CONFINED
    assert kobako("exec", "--privileged", name, "python3", "-c", ASK).out.endswith(" 2")
    kobako("restart", "-t", "0", name)
    assert kobako("exec", name, "python3", "-c", ASK).out == CONFINED


@pytest.mark.parametrize("flag", ["--privileged", "--security-opt=seccomp=unconfined"])
def test_without_a_profile(kobako: Kobako, flag: str) -> None:
    out = kobako("run", "--rm", flag, "--cap-add", "SYS_ADMIN", "python", "python3", "-c", ASK).out
    *words, mode = out.split()
    assert words == OPEN
    assert mode == "0" or os.getuid()  # emulated ownership has a filter of its own


def test_a_capability_opens_what_it_is_for(kobako: Kobako) -> None:
    out = kobako("run", "--rm", "--cap-add", "SYS_ADMIN", "python", "python3", "-c", ASK).out
    unshare, keyctl, clone3, open_tree, mode = out.split()
    assert (unshare, keyctl, clone3, open_tree, mode) == ("none", "EPERM", "EINVAL", "EFAULT", "2")


def test_a_profile_of_ones_own(kobako: Kobako, name: str, tmp_path: Path) -> None:
    file = tmp_path / "profile.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 122}
    file.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    flag = f"seccomp={file}"
    words = ("--security-opt", flag, "python", "sh", "-c", "mkdir /x; echo $?")
    result = kobako("run", "--name", name, *words)
    assert result.out == "1" and "Disk quota exceeded" in result.err
    file.unlink()  # the container has its own
    assert kobako("start", "-a", name).out == "1"
    [kept] = json.loads(kobako.show("{{json .HostConfig.SecurityOpt}}", name))
    assert kept.startswith('seccomp={"defaultAction":"SCMP_ACT_ALLOW"')
    says = f"opening seccomp profile ({file}) failed: open {file}: no such file or directory"
    kobako.fails("run", *words, code=125, says=says)
    file.write_text("{")
    kobako.fails("run", *words, code=125, says=f"compacting json for seccomp profile ({file})")
    file.write_text('{"defaultAction": "SCMP_ACT_SHRUG"}')
    kobako.fails("run", *words, code=125, says="unknown action SCMP_ACT_SHRUG")


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("nosuch", "invalid --security-opt: 'nosuch'"),
        ("seccomp=", "invalid --security-opt: 'seccomp='"),
        ("apparmor=mine", "AppArmor profiles are not applied by kobako"),
        ("no-new-privileges=maybe", "invalid --security-opt"),
    ],
)
def test_options_that_are_none(kobako: Kobako, option: str, says: str) -> None:
    kobako.fails("run", "--rm", "--security-opt", option, "python", code=125, says=says)


def test_other_options(kobako: Kobako) -> None:
    words = ("run", "--rm", "--security-opt", "systempaths=unconfined", "--security-opt",
             "no-new-privileges:true", "--security-opt", "label:disable")  # fmt: skip
    script = "grep NoNew /proc/self/status; grep -c ' /proc/[a-z]' /proc/self/mountinfo"
    out = kobako.attempt(*words, "python", "sh", "-c", script).out
    assert out.split() == ["NoNewPrivs:", "1", "0"]


def test_builds_are_confined(kobako: Kobako, tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text(ASK)
    (tmp_path / "Dockerfile").write_text(
        "FROM python\nCOPY ask.py /\nRUN echo as $(python3 /ask.py)\n"
        "RUN --security=insecure echo as $(python3 /ask.py)\n"
    )
    words = ("build", "--no-cache", "--progress", "plain", "--allow", "security.insecure")
    said = kobako(*words, str(tmp_path))
    first, second = [line.split(" as ")[1] for line in (said.out + said.err).splitlines()
                     if " as " in line and "$(" not in line]  # fmt: skip
    assert first == CONFINED
    assert second.split()[1:3] == ["ENOTSUP", "EINVAL"]
