"""Processes and the namespaces they live in: clone, unshare, setns, pidfd, prctl.

A process with threads must never fork here: the child would hold whatever locks the other threads
held. `require_single_thread` says so clearly before it happens.
"""

from __future__ import annotations

import os
import sys
import time

from kobako.errors import Unsupported
from kobako.linux import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

CLONE_NEWTIME = 0x80
CLONE_NEWNS = 0x20000
CLONE_NEWCGROUP = 0x2000000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

#: The runtime-spec's namespace types: flag of clone(2) and file in /proc/PID/ns.
NAMESPACES = {
    "user": (CLONE_NEWUSER, "user"),
    "mount": (CLONE_NEWNS, "mnt"),
    "pid": (CLONE_NEWPID, "pid"),
    "network": (CLONE_NEWNET, "net"),
    "ipc": (CLONE_NEWIPC, "ipc"),
    "uts": (CLONE_NEWUTS, "uts"),
    "cgroup": (CLONE_NEWCGROUP, "cgroup"),
}

# Of clone, rt_sigaction and execve.
_NUMBERS = {
    "x86_64": (56, 13, 59),
    "aarch64": (220, 134, 221),
    "riscv64": (220, 134, 221),
    "loongarch64": (220, 134, 221),
    "armv7l": (120, 174, 11),
}
_SIGACTION_SIZE, _SIGSET_SIZE = 32, 8  # the kernel's, not libc's
_LIBC_SIGNALS = (32, 33)
_CLOSE_RANGE = 436
_SIOCSIFFLAGS, _IFNAMSIZ, _IFREQ_SIZE, _IFF_UP = 0x8914, 16, 40, 1  # netdevice(7)
_PATIENCE_S, _LOOK_S = 2.0, 0.0005
_SIGCHLD = 17
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_CHILD_SUBREAPER = 1, 4, 38, 36

_getcpu = libc.function("sched_getcpu", libc.c_int)
_unshare = libc.function("unshare", libc.c_int, libc.c_int)
_setns = libc.function("setns", libc.c_int, libc.c_int, libc.c_int)
_sethostname = libc.function("sethostname", libc.c_int, libc.c_char_p, libc.c_ulong)
_setdomainname = libc.function("setdomainname", libc.c_int, libc.c_char_p, libc.c_ulong)
_prctl = libc.function(
    "prctl", libc.c_int, libc.c_int, libc.c_ulong, libc.c_ulong, libc.c_ulong, libc.c_ulong
)


def has_single_thread() -> bool:
    """Whether a fork of this process is whole."""
    return len(os.listdir("/proc/self/task")) == 1


def require_single_thread(doing: str) -> None:
    """Raises `Unsupported` when this process has more than one thread.

    Those that are just ending are waited for: one that was joined is the kernel's for an instant
    more, a long one on a machine with much to do.
    """
    end = 0.0
    while (count := len(os.listdir("/proc/self/task"))) != 1:
        now = time.monotonic()
        end = end or now + _PATIENCE_S
        if now > end:
            raise Unsupported(
                f"{doing}: this process has {count} threads, and a fork of it could deadlock",
                hint="do this before starting threads, or in a process of its own",
            )
        time.sleep(_LOOK_S)


def clone(flags: int) -> int:
    """fork with clone(2) flags: 0 in the child, the child's pid in the parent.

    The interpreter is not told, so the child must do nothing with threads and end in execve or
    `os._exit`. The caller has checked `require_single_thread`.
    """
    numbers = _NUMBERS.get(os.uname().machine)
    if numbers is None:
        raise Unsupported(f"clone: the machine {os.uname().machine} is not known")
    return libc.syscall(numbers[0], flags | _SIGCHLD, 0, 0, 0, 0, what="clone")


def begin_elsewhere(child: int, processors: set[int]) -> None:
    """Has a child that was just made begin on one of the `processors` that is not ours, where there
    is one: the kernel of a microVM that packs its processors leaves it behind its busy parent for
    milliseconds, while others idle.

    It may `run_anywhere` again as soon as it has heard from us, and thus after this.
    """
    others = processors - {_getcpu()}
    try:
        if others:
            os.sched_setaffinity(child, others)
    except OSError:
        pass  # it has ended already, or has been given other processors


def run_anywhere(processors: set[int], child: int = 0) -> None:
    """Takes back what `begin_elsewhere` did to this process, or to a child."""
    try:
        os.sched_setaffinity(child, processors)
    except OSError:
        pass  # those are taken from us, and the kernel has given us others


def unshare(flags: int) -> None:
    """Leaves the namespaces named by CLONE_NEW* flags for fresh ones."""
    libc.check(_unshare(flags), "unshare")


def setns(fd: int, flags: int) -> None:
    """Joins a namespace (fd of /proc/PID/ns/*) or, with a pidfd, all those named by the flags."""
    libc.check(_setns(fd, flags), "setns")


def prctl(option: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> int:
    """prctl(2); raises OSError."""
    return libc.check(_prctl(option, a, b, c, d), "prctl")


def set_parent_death_signal(signal: int) -> None:
    """The signal this process gets when its parent ends. A change of credentials clears it."""
    prctl(_PR_SET_PDEATHSIG, signal)


def set_libc_signals_default() -> None:
    """Gives the signals that libc keeps for itself, and hides from sigaction(3), their default
    dispositions: who was started by glibc's posix_spawn ignores them, across execve."""
    numbers = _NUMBERS.get(os.uname().machine)
    if numbers is None:
        return
    default = bytes(_SIGACTION_SIZE)
    for signal in _LIBC_SIGNALS:
        libc.syscall(numbers[1], signal, default, None, _SIGSET_SIZE, what="sigaction")


def set_no_new_privs() -> None:
    """From now on no execve grants privileges (set-user-ID bits, file capabilities)."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def set_child_subreaper() -> None:
    """Orphaned descendants become this process's children. Kept across execve."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_dumpable(dumpable: bool) -> None:
    """Whether other processes of this user may look into this one (/proc/PID/*, ptrace)."""
    prctl(_PR_SET_DUMPABLE, int(dumpable))


def set_hostname(name: str) -> None:
    """Names the machine in this UTS namespace."""
    raw = os.fsencode(name)
    libc.check(_sethostname(raw, len(raw)), "sethostname", name)


def set_domainname(name: str) -> None:
    """Gives the NIS domain name of this UTS namespace."""
    raw = os.fsencode(name)
    libc.check(_setdomainname(raw, len(raw)), "setdomainname", name)


def set_loopback_up() -> None:
    """Gives this network namespace 127.0.0.1 and ::1: in a new one its `lo` is down."""
    import _socket
    import fcntl

    request = b"lo".ljust(_IFNAMSIZ, b"\0") + _IFF_UP.to_bytes(2, sys.byteorder)
    some = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC, 0)
    try:
        fcntl.ioctl(some.fileno(), _SIOCSIFFLAGS, request.ljust(_IFREQ_SIZE, b"\0"))
    finally:
        some.close()


def has_standard_streams() -> bool:
    """Whether descriptors 0, 1 and 2 are open."""
    try:
        return all(os.fstat(number) for number in (0, 1, 2))
    except OSError:
        return False


def close_all_but(keep: set[int]) -> None:
    """Closes every descriptor from 3 on that is not in `keep`."""
    last = 2
    for fd in sorted(f for f in keep if f > 2):
        if fd > last + 1:
            libc.syscall(_CLOSE_RANGE, last + 1, fd - 1, 0, what="close_range")
        last = fd
    libc.syscall(_CLOSE_RANGE, last + 1, 0x7FFFFFFF, 0, what="close_range")


def execute(path: str, args: list[str], environ: dict[str, str], *, sixth: int = 0) -> NoReturn:
    """`os.execve`. `sixth`: an argument more, which the kernel does not look at and a filter may:
    `seccomp.OUR_OWN`."""
    numbers = _NUMBERS.get(os.uname().machine)
    if not sixth or numbers is None:
        os.execve(path, args, environ)
    words = libc.strings(args), libc.strings([f"{key}={value}" for key, value in environ.items()])
    name = os.fsencode(path)
    libc.syscall(numbers[2], name, *words, 0, 0, sixth, what="execve")
    raise AssertionError("execve has returned")


def start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 when there is no such process.

    Together with the pid it names a process for ever: pids are used again. A zombie is a process
    still.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def namespaces_apart_from(pid: int) -> int:
    """CLONE_NEW* flags of the namespaces in which `pid` is not where this process is."""
    flags = 0
    for flag, name in NAMESPACES.values():
        try:
            theirs = os.stat(f"/proc/{pid}/ns/{name}")
            ours = os.stat(f"/proc/self/ns/{name}")
        except FileNotFoundError:
            continue  # a kernel without this kind of namespace
        if (theirs.st_dev, theirs.st_ino) != (ours.st_dev, ours.st_ino):
            flags |= flag
    return flags
