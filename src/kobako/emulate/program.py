"""The seccomp filter of the emulated root: which calls are shown to the supervisor.

Decided in the filter, because a round trip to the supervisor costs 12 us: opens are shown only
when they create, `clone` and `unshare` only for a new mount namespace, `prctl` only for
keep-capabilities, `getsockopt` only for SO_PEERCRED, `capset` and `execve` not if it is one of our
own.

A process that begins as another user than root goes under a larger one, `checked`: it also shows
the calls in which the kernel would ask what that user may do to a file.

The 32-bit calls of x86 are filtered too: whatever would change ownership or identity fails with
EPERM there, the rest runs natively (a 32-bit program sees what the kernel has: everything is
owned by 0:0). x32 and any other machine get ENOSYS.
"""

from __future__ import annotations

from kobako.emulate.credentials import PR_GET_KEEPCAPS, RLIMIT_LOCKS
from kobako.linux.bpf import DATA_ARCH, DATA_NR, Assembler, data_arg, ranges
from kobako.linux.seccomp import OUR_OWN, RET_ALLOW, RET_ERRNO, RET_USER_NOTIF
from kobako.linux.syscalls import Machine, machine

NOTIFIED = (
    *("stat", "lstat", "fstat", "newfstatat", "statx"),
    *("chown", "lchown", "fchown", "fchownat", "chmod", "fchmod", "fchmodat", "fchmodat2"),
    *("creat", "mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat", "bind"),
    *("setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid"),
    *("setfsuid", "setfsgid", "setgroups", "getuid", "geteuid", "getgid", "getegid"),
    *("getresuid", "getresgid", "getgroups", "capget", "execveat"),
    *("setxattr", "lsetxattr", "fsetxattr", "getxattr", "lgetxattr", "fgetxattr"),
    *("listxattr", "llistxattr", "flistxattr"),
    *("removexattr", "lremovexattr", "fremovexattr"),
    *("chroot", "pivot_root", "mount", "move_mount", "setns"),
)
"""Always shown. What each means is in the table of `supervisor`."""

CHECKED = (
    *("open", "openat", "openat2", "access", "faccessat", "faccessat2", "readlink", "readlinkat"),
    *("chdir", "fchdir", "truncate", "unlink", "unlinkat", "rmdir"),
    *("rename", "renameat", "renameat2", "link", "linkat"),
    *("utime", "utimes", "futimesat", "utimensat"),
)
"""Shown besides by a checked filter. What each asks for is in the table of `checks`."""

_SYNC = ("fsync", "fdatasync", "sync", "syncfs", "sync_file_range", "msync")
# Linux 6.13. Callers fall back to the calls above, whose arguments are not in a structure.
_ABSENT = ("setxattrat", "getxattrat", "listxattrat", "removexattrat")

O_CREAT = 0o100
O_TMPFILE = 0o20000000  # without O_DIRECTORY, which differs between machines
CLONE_NEWNS = 0x20000
PR_SET_KEEPCAPS = 8
SOL_SOCKET = 1
SO_PEERCRED = 17
_EPERM = 1
_ENOSYS = 38


def assemble(name: str | None = None, *, no_sync: bool = False, checked: bool = False) -> bytes:
    """See `kobako.emulate.ownership.program`, which reads what `prepare` has made of it."""
    target = machine(name)
    a = Assembler()
    a.load(DATA_ARCH)
    a.if_equal(target.audit_arch, "native")
    if target.foreign is not None:
        a.if_equal(target.foreign_arch, "foreign")
    a.ret(RET_ERRNO | _ENOSYS)
    a.label("native")
    a.load(DATA_NR)
    if target.x32_bit:
        a.if_at_least(target.x32_bit, "absent")
    _native(a, target, no_sync, checked)
    if target.foreign is not None:
        a.label("foreign")
        a.load(DATA_NR)
        denied = {
            number: "foreign_" + call if call in _LIMITS else "denied"
            for call, number in target.foreign.items()
        }
        a.choose(ranges(denied, "foreign_allow"))
        a.label("foreign_allow")
        a.ret(RET_ALLOW)
        for call, at in _LIMITS.items():
            a.label("foreign_" + call)
            a.load(data_arg(at))
            a.if_equal(RLIMIT_LOCKS, "nothing")
            a.ret(RET_ALLOW)
        a.label("denied")
        a.ret(RET_ERRNO | _EPERM)
        a.label("nothing")
        a.ret(RET_ERRNO)
    return a.assemble()


# The argument that names the resource.
_LIMITS = {"setrlimit": 0, "prlimit64": 1}


def _native(a: Assembler, target: Machine, no_sync: bool, checked: bool) -> None:
    numbers = target.numbers
    always = (*NOTIFIED, *CHECKED, "execve") if checked else NOTIFIED
    tested = {n: test for n, test in _TESTS.items() if n in numbers and n not in always}
    targets = {numbers[name]: "notify" for name in always if name in numbers}
    targets |= {numbers[name]: name for name in tested}
    targets |= {numbers[name]: "absent" for name in _ABSENT}
    if no_sync:
        targets |= {numbers[name]: "nothing_native" for name in _SYNC if name in numbers}
    a.choose(ranges(targets, "allow"))
    a.label("allow")
    a.ret(RET_ALLOW)
    for name, test in tested.items():
        a.label(name)
        test(a)
    a.label("nothing_native")
    a.ret(RET_ERRNO)
    a.label("absent")
    a.ret(RET_ERRNO | _ENOSYS)
    a.label("notify")
    a.ret(RET_USER_NOTIF)


def _creates(flags_arg: int, a: Assembler) -> None:
    a.load(data_arg(flags_arg))
    a.if_any_bit(O_CREAT | O_TMPFILE, "notify")
    a.ret(RET_ALLOW)


def _new_mount_namespace(a: Assembler) -> None:
    a.load(data_arg(0))
    a.if_any_bit(CLONE_NEWNS, "notify")
    a.ret(RET_ALLOW)


def _keep_capabilities(a: Assembler) -> None:
    a.load(data_arg(0))
    a.if_equal(PR_SET_KEEPCAPS, "notify")
    a.if_equal(PR_GET_KEEPCAPS, "notify")
    a.ret(RET_ALLOW)


def _peer_credentials(a: Assembler) -> None:
    a.load(data_arg(1))
    a.if_equal(SOL_SOCKET, 1)
    a.ret(RET_ALLOW)
    a.load(data_arg(2))
    a.if_equal(SO_PEERCRED, "notify")
    a.ret(RET_ALLOW)


def _not_our_own(a: Assembler) -> None:
    a.load(data_arg(5))
    a.if_equal(OUR_OWN & 0xFFFFFFFF, 0, "notify")
    a.load(data_arg(5, high=True))
    a.if_equal(OUR_OWN >> 32, 0, "notify")
    a.ret(RET_ALLOW)


def _setrlimit(a: Assembler) -> None:
    a.load(data_arg(0))
    a.if_equal(RLIMIT_LOCKS, "nothing_native")
    a.ret(RET_ALLOW)


def _prlimit(a: Assembler) -> None:
    """Reading the limit is let through, setting it does nothing."""
    a.load(data_arg(1))
    a.if_equal(RLIMIT_LOCKS, 1)
    a.ret(RET_ALLOW)
    for high in (False, True):
        a.load(data_arg(2, high=high))
        a.if_equal(0, 1)
        a.ret(RET_ERRNO)
    a.ret(RET_ALLOW)


_TESTS = {
    "open": lambda a: _creates(1, a),
    "openat": lambda a: _creates(2, a),
    "clone": _new_mount_namespace,
    "unshare": _new_mount_namespace,
    "prctl": _keep_capabilities,
    "getsockopt": _peer_credentials,
    "capset": _not_our_own,
    "execve": _not_our_own,
    "setrlimit": _setrlimit,
    "prlimit64": _prlimit,
}
