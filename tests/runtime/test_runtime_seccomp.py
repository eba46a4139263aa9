"""Seccomp profiles: the default one, files, their translation; what the kernel then refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_machine import run
from kobako.errors import Invalid, Unsupported
from kobako.linux import syscall_names, syscalls
from kobako.runtime.process_spec import DEFAULT_CAPABILITIES
from kobako.runtime.seccomp import default, moby, profile, translate

X86_64, I386, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028
ALLOW, ERRNO, ENOSYS = 0x7FFF0000, 0x50000, 0x50026
EPERM = ERRNO | 1

FORBIDDEN = """
    add_key request_key keyctl bpf perf_event_open userfaultfd mount umount2 pivot_root move_mount
    open_tree fsopen fsconfig fsmount fspick mount_setattr setns unshare swapon swapoff reboot
    sethostname setdomainname init_module finit_module delete_module kexec_load acct quotactl
    settimeofday clock_settime syslog vhangup open_by_handle_at fanotify_init lookup_dcookie
    nfsservctl io_uring_setup io_uring_enter io_uring_register kcmp pidfd_getfd process_madvise
    get_mempolicy mbind set_mempolicy move_pages migrate_pages
""".split()
"""What docker's documentation and its list keep from a container without further capabilities."""


def default_program(machine: str, *capabilities: str) -> bytes:
    held = (*DEFAULT_CAPABILITIES, *capabilities)
    return translate.program(default.section(held, machine), machine)


def answers(program: bytes, machine: str, arch: int) -> dict[str, int]:
    return {n: run(program, v, arch) for n, v in syscall_names.numbers(machine).items()}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_prepared_filters_are_what_the_profile_says(machine: str) -> None:
    for path, content in profile.prepared(machine).items():
        assert Path(path).read_bytes() == content, profile.write_prepared.__doc__


def test_the_usual_containers_need_no_translation(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise AssertionError("translated")

    monkeypatch.setattr(translate, "program", refuse)
    for held in (DEFAULT_CAPABILITIES, (*DEFAULT_CAPABILITIES, "CAP_NET_ADMIN"), ()):
        section = profile.section("", held)
        assert section is not None and len(profile.filter_of(section).program) > 1000


@pytest.mark.parametrize(
    ("machine", "table", "arch"),
    [
        ("x86_64", "x86_64", X86_64),
        ("x86_64", "i386", I386),
        ("aarch64", "aarch64", AARCH64),
        ("aarch64", "arm", ARM),
    ],
)
def test_the_default_profile(machine: str, table: str, arch: int) -> None:
    found = answers(default_program(machine), table, arch)
    for name in FORBIDDEN:
        assert found.get(name, EPERM) == EPERM, name
    assert found["clone3"] == ENOSYS
    for name in "read openat execve chown32 fchownat mknodat seccomp ptrace chroot futex".split():
        assert found.get(name, ALLOW) == ALLOW, name
    refused = {n for n, answer in found.items() if answer != ALLOW}
    assert 50 < len(refused) < 110
    program = default_program(machine)
    newest = max(n for n in syscall_names.numbers(table).values() if n < 512)
    assert run(program, newest + 1, arch) == ENOSYS
    assert run(program, 0xFFFFFFFF, arch) == ENOSYS
    assert run(program, 0, 0x1234) == 0  # another machine's calls: killed


def test_x32_is_held_as_x86_64() -> None:
    program, bit = default_program("x86_64"), 0x40000000
    numbers, own = syscall_names.numbers("x86_64"), syscall_names.x32_numbers()
    assert run(program, bit | numbers["read"], X86_64) == ALLOW
    assert run(program, bit | numbers["mount"], X86_64) == EPERM
    assert run(program, bit | own["execve"], X86_64) == ALLOW
    assert run(program, bit | own["kexec_load"], X86_64) == ENOSYS  # nobody's: as if it were new


@pytest.mark.parametrize(
    ("capability", "name"),
    [
        ("CAP_SYS_ADMIN", "mount"),
        ("CAP_SYS_ADMIN", "unshare"),
        ("CAP_SYS_PTRACE", "kcmp"),
        ("CAP_SYS_TIME", "clock_settime"),
        ("CAP_BPF", "bpf"),
        ("CAP_SYSLOG", "syslog"),
        ("CAP_SYS_NICE", "mbind"),
    ],
)
def test_a_capability_brings_its_calls(capability: str, name: str) -> None:
    before = answers(default_program("x86_64"), "x86_64", X86_64)
    after = answers(default_program("x86_64", capability), "x86_64", X86_64)
    assert (before[name], after[name]) == (EPERM, ALLOW)
    without = translate.program(default.section((), "x86_64"), "x86_64")
    assert answers(without, "x86_64", X86_64)["chroot"] == EPERM


def test_arguments_decide() -> None:
    program, numbers = default_program("x86_64"), syscall_names.numbers("x86_64")

    def ask(name: str, *arguments: int) -> int:
        return run(program, numbers[name], X86_64, arguments)

    assert [ask("socket", n) for n in (0, 37, 38, 39, 40, 41)] == [
        *(ALLOW, ALLOW, EPERM, ALLOW, EPERM, ALLOW)
    ]
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert ask("clone", flag | 17) == EPERM
    assert ask("clone", 0x3D0F00) == ALLOW  # as threads are made
    assert [ask("personality", n) for n in (0, 8, 0x20000, 0x20008, 0xFFFFFFFF, 0x40000)] == [
        *([ALLOW] * 5),
        EPERM,
    ]
    admin = default_program("x86_64", "CAP_SYS_ADMIN")
    assert run(admin, numbers["clone"], X86_64, (0x10000000,)) == ALLOW
    assert run(admin, numbers["clone3"], X86_64) == ALLOW


def test_both_tables_of_numbers_agree() -> None:
    for name, few in (("x86_64", syscalls.X86_64), ("aarch64", syscalls.AARCH64),
                      ("i386", syscalls.I386)):  # fmt: skip
        every = syscall_names.numbers(name)
        assert {n: every[n] for n in few} == few


OPERATORS = {
    "NE": lambda a, v, w: a != v,
    "LT": lambda a, v, w: a < v,
    "LE": lambda a, v, w: a <= v,
    "EQ": lambda a, v, w: a == v,
    "GE": lambda a, v, w: a >= v,
    "GT": lambda a, v, w: a > v,
    "MASKED_EQ": lambda a, v, w: a & v == w,
}
WORDS = st.sampled_from(
    [0, 1, 7, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 7, 1 << 63, (1 << 64) - 1]
)


@given(
    st.lists(st.tuples(st.sampled_from(sorted(OPERATORS)), WORDS, WORDS), min_size=1, max_size=4),
    st.lists(WORDS, min_size=4, max_size=4),
)
def test_conditions_mean_what_they_say(
    conditions: list[tuple[str, int, int]], arguments: list[int]
) -> None:
    args = [
        {"index": at, "op": f"SCMP_CMP_{op}", "value": v, "valueTwo": w}
        for at, (op, v, w) in enumerate(conditions)
    ]
    rule = {"names": ["getpid"], "action": "SCMP_ACT_TRAP", "args": args}
    section = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    program = translate.program(section, "x86_64")
    holds = all(
        OPERATORS[op](a, v, w) for (op, v, w), a in zip(conditions, arguments, strict=False)
    )
    got = run(program, syscalls.X86_64["getuid"] - 63, X86_64, tuple(arguments))
    assert syscall_names.numbers("x86_64")["getpid"] == syscalls.X86_64["getuid"] - 63
    assert got == (0x30000 if holds else ALLOW)


@given(st.sets(st.sampled_from(sorted(syscall_names.numbers("x86_64")))), st.booleans())
def test_what_is_named_is_allowed_and_nothing_else(names: set[str], permissive: bool) -> None:
    usual, named = ("ALLOW", "KILL_PROCESS") if permissive else ("KILL_PROCESS", "ALLOW")
    rule = {"names": sorted(names), "action": f"SCMP_ACT_{named}"}
    section = {"defaultAction": f"SCMP_ACT_{usual}", "syscalls": [rule, rule]}
    program = translate.program(section, "x86_64")
    numbers = {n: v for n, v in syscall_names.numbers("x86_64").items() if v < 512}
    newest = max((numbers[n] for n in names), default=-1)
    values = {"ALLOW": ALLOW, "KILL_PROCESS": 0x80000000}
    chosen = {numbers[n] for n in names}
    for name, number in numbers.items():
        wanted = values[named if number in chosen else usual]
        if number > newest and not permissive:
            wanted = ENOSYS
        assert run(program, number, X86_64) == wanted, name


PROFILE = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 38,
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": None},
    ],
    "syscalls": [
        {"name": "read", "action": "SCMP_ACT_ALLOW"},
        {"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"]}},
        {"names": ["acct"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_CHROOT"]}},
        {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
        {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["arm64"]}},
        {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
        {"names": ["kcmp"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}},
    ],
}


def test_rules_of_a_file_depend_on_machine_capabilities_and_kernel() -> None:
    def names(capabilities: tuple[str, ...], machine: str, kernel: str) -> list[str]:
        found = moby.section(json.dumps(PROFILE), capabilities, machine, kernel)
        assert found is not None
        return [name for rule in found["syscalls"] for name in rule["names"]]

    assert names(("CAP_SYS_CHROOT",), "x86_64", "6.1.0-9-amd64") == [
        *("read", "chroot", "mount", "ptrace")
    ]
    assert names((), "aarch64", "4.7.9") == ["read", "acct", "bpf", "kcmp"]
    assert moby.section("{}", (), "x86_64", "6.1") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"defaultAction": "ALLOW", "syscalls": []}', "does not begin with SCMP_ACT_"),
        ('{"defaultAction": "SCMP_ACT_NONE"}', "unknown action SCMP_ACT_NONE"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [1]}', "not a list of objects"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "SCMP_ACT_LOG"}]}', "names"),
        (
            '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "args": [{"op":'
            ' "SCMP_CMP_X"}], "action": "SCMP_ACT_LOG"}]}',
            "unknown operator",
        ),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["X"]}', "flag X is not supported"),
        (
            '{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_ARM"], "archMap":'
            ' [{"architecture": "SCMP_ARCH_X86_64"}]}',
            "use one of them",
        ),
    ],
)
def test_a_bad_profile_is_named(text: str, says: str) -> None:
    with pytest.raises((Invalid, Unsupported), match=says):
        profile.section(text, ())


def test_an_agent_is_not_there() -> None:
    with pytest.raises(Unsupported, match="SCMP_ACT_NOTIFY"):
        profile.section('{"defaultAction": "SCMP_ACT_NOTIFY"}', ())
