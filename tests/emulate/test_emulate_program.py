"""The filter, run on a BPF machine of our own: for both machines, and for calls of foreign ones."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from bpf_machine import run
from kobako.emulate import prepare
from kobako.emulate.ownership import program
from kobako.emulate.program import CHECKED, NOTIFIED, assemble
from kobako.errors import Unsupported
from kobako.linux.seccomp import OUR_OWN, RET_ALLOW, RET_ERRNO, RET_USER_NOTIF
from kobako.linux.syscalls import machine

BOTH = pytest.mark.parametrize("name", ["x86_64", "aarch64"])


def test_the_filters_that_lie_ready_are_what_is_assembled() -> None:
    for path, content in prepare.all_prepared().items():
        assert Path(path).read_bytes() == content, prepare.write_prepared.__doc__


LEGACY = ("stat", "lstat", "chown", "lchown", "mkdir", "mknod", "symlink", "open", "creat", "chmod")
LEGACY += (
    "access",
    "readlink",
    "unlink",
    "rmdir",
    "rename",
    "link",
    "utime",
    "utimes",
    "futimesat",
)


def call(name: str, syscall: str, *args: int, no_sync: bool = False, checked: bool = False) -> int:
    target = machine(name)
    filter_ = assemble(name, no_sync=no_sync, checked=checked)
    return run(filter_, target.numbers[syscall], target.audit_arch, args)


@BOTH
def test_what_is_about_ownership_is_shown(name: str) -> None:
    numbers = machine(name).numbers
    for syscall in NOTIFIED:
        if syscall in numbers:
            assert call(name, syscall) == RET_USER_NOTIF, syscall
        else:
            assert name == "aarch64" and syscall in LEGACY, syscall


@BOTH
def test_what_a_user_s_rights_decide_is_shown_by_a_checked_filter_alone(name: str) -> None:
    numbers = machine(name).numbers
    for syscall in (*NOTIFIED, *CHECKED):
        if syscall not in numbers:
            assert name == "aarch64" and syscall in LEGACY, syscall
            continue
        assert call(name, syscall, checked=True) == RET_USER_NOTIF, syscall
        assert syscall in NOTIFIED or call(name, syscall) == RET_ALLOW, syscall
    for syscall in ("clone3", "ioctl", "fsync"):
        assert call(name, syscall, checked=True) == RET_ALLOW
    assert call(name, "prctl", 8, 1, checked=True) == RET_USER_NOTIF
    assert call(name, "fsync", checked=True, no_sync=True) == RET_ERRNO


@BOTH
def test_what_is_not_runs_at_full_speed(name: str) -> None:
    for syscall in ("clone3", "ioctl", "process_vm_readv", "seccomp", "fsync"):
        assert call(name, syscall) == RET_ALLOW
    target = machine(name)
    for number in range(600):
        if number not in target.numbers.values():
            assert run(program(name), number, target.audit_arch) == RET_ALLOW


@BOTH
def test_arguments_decide(name: str) -> None:
    o_creat, o_tmpfile = 0o100, 0o20000000
    assert call(name, "openat", 0, 0, 0o2) == RET_ALLOW
    assert call(name, "openat", 0, 0, 0o2 | o_creat) == RET_USER_NOTIF
    assert call(name, "openat", 0, 0, o_tmpfile) == RET_USER_NOTIF
    assert call(name, "clone", 0x11) == RET_ALLOW
    assert call(name, "clone", 0x11 | 0x20000) == RET_USER_NOTIF
    assert call(name, "unshare", 0x10000000) == RET_ALLOW
    assert call(name, "unshare", 0x20000) == RET_USER_NOTIF
    assert call(name, "prctl", 8, 1) == RET_USER_NOTIF
    assert call(name, "prctl", 15) == RET_ALLOW
    assert call(name, "getsockopt", 3, 1, 17) == RET_USER_NOTIF
    assert call(name, "getsockopt", 3, 1, 16) == RET_ALLOW
    assert call(name, "getsockopt", 3, 6, 17) == RET_ALLOW
    for syscall in ("capset", "execve"):
        assert call(name, syscall) == RET_USER_NOTIF
        assert call(name, syscall, 0, 0, 0, 0, 0, OUR_OWN) == RET_ALLOW
        for other in (OUR_OWN & 0xFFFFFFFF, OUR_OWN ^ 1 << 32, OUR_OWN ^ 1):
            assert call(name, syscall, 0, 0, 0, 0, 0, other) == RET_USER_NOTIF
    assert call(name, "execve", 0, 0, 0, 0, 0, OUR_OWN, checked=True) == RET_USER_NOTIF
    if name == "x86_64":
        assert call(name, "open", 0, 0o2) == RET_ALLOW
        assert call(name, "open", 0, o_creat) == RET_USER_NOTIF


@BOTH
def test_the_limit_that_names_the_credentials_cannot_be_set(name: str) -> None:
    assert call(name, "setrlimit", 10, 4096) == RET_ERRNO
    assert call(name, "setrlimit", 7, 4096) == RET_ALLOW
    assert call(name, "prlimit64", 0, 10, 4096) == RET_ERRNO
    assert call(name, "prlimit64", 0, 10, 1 << 40) == RET_ERRNO
    assert call(name, "prlimit64", 0, 10, 0, 4096) == RET_ALLOW
    assert call(name, "prlimit64", 0, 7, 4096) == RET_ALLOW


@BOTH
def test_sync_is_skipped_only_when_asked(name: str) -> None:
    for syscall in ("fsync", "fdatasync", "sync", "syncfs", "sync_file_range", "msync"):
        assert call(name, syscall) == RET_ALLOW
        assert call(name, syscall, no_sync=True) == RET_ERRNO
    assert call(name, "chown", no_sync=True) == RET_USER_NOTIF if name == "x86_64" else True


def test_i386_may_not_change_ownership_or_identity() -> None:
    target = machine("x86_64")
    assert target.foreign is not None
    denied = RET_ERRNO | errno.EPERM
    for syscall, number in target.foreign.items():
        if syscall not in ("setrlimit", "prlimit64"):
            assert run(program("x86_64"), number, target.foreign_arch) == denied, syscall
    limit = target.foreign["prlimit64"]
    assert run(program("x86_64"), limit, target.foreign_arch, (0, 10, 1)) == RET_ERRNO
    assert run(program("x86_64"), limit, target.foreign_arch, (0, 7, 1)) == RET_ALLOW
    # 212 is chown32 there and tkill's neighbour here; 4 is write there and stat here.
    assert run(program("x86_64"), 4, target.foreign_arch) == RET_ALLOW


@pytest.mark.parametrize("number", [0, 4, 92, 257, 512, 547])
def test_x32_does_not_exist(number: int) -> None:
    target = machine("x86_64")
    absent = RET_ERRNO | errno.ENOSYS
    assert run(program("x86_64"), number | 0x40000000, target.audit_arch) == absent
    assert run(program("x86_64"), 0xFFFFFFFF, target.audit_arch) == absent


@BOTH
@pytest.mark.parametrize("arch", [0x40000028, 0xC00000F3, 0, 0xFFFFFFFF])
def test_calls_of_any_other_machine_do_not_exist(name: str, arch: int) -> None:
    for number in range(0, 500, 7):
        assert run(program(name), number, arch) == RET_ERRNO | errno.ENOSYS


def test_unknown_machines_are_refused() -> None:
    with pytest.raises(Unsupported):
        program("riscv64")
