"""Capabilities of a process: capabilities(7), by their names in the runtime-spec."""

from __future__ import annotations

import os

from kobako.errors import Invalid
from kobako.linux import libc, process
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: Every capability, its number being its place.
NAMES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
    "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK",
    "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
    "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
NUMBERS = {name: number for number, name in enumerate(NAMES)}

_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT, _AMBIENT_RAISE, _AMBIENT_CLEAR_ALL = 47, 2, 4
_VERSION_3 = 0x20080522
_CAPSET = {"x86_64": 126, "aarch64": 91}  # for `libc.syscall`

_capget = libc.function("capget", libc.c_int, libc.c_char_p, libc.c_void_p)
_capset = libc.function("capset", libc.c_int, libc.c_char_p, libc.c_char_p)


class CapabilitySets(Record):
    """Bit masks; bit n is capability number n."""

    effective: int = 0
    permitted: int = 0
    inheritable: int = 0


def normalise(name: str) -> str:
    """ "net_admin" and "CAP_NET_ADMIN" alike -> "CAP_NET_ADMIN"; `Invalid` for unknown names."""
    full = name.upper()
    full = full if full.startswith("CAP_") else f"CAP_{full}"
    if full not in NUMBERS:
        raise Invalid(f"unknown capability: {name}")
    return full


def is_known(name: str) -> bool:
    """Whether this kernel has the capability (CAP_BPF came with Linux 5.8)."""
    try:
        process.prctl(_PR_CAPBSET_READ, NUMBERS[name])
    except OSError:
        return False
    return True


def mask(names: Iterable[str]) -> int:
    """The bit mask of capability names; names this kernel or version does not know are left out."""
    bits = 0
    for name in names:
        if name in NUMBERS:
            bits |= 1 << NUMBERS[name]
    return bits


def current() -> CapabilitySets:
    """The sets of this process."""
    data = libc.buffer(24)
    libc.check(_capget(_header(), libc.addressof(data)), "capget")
    words = [int.from_bytes(data.raw[i : i + 4], "little") for i in range(0, 24, 4)]
    return CapabilitySets(*(words[i] | words[i + 3] << 32 for i in range(3)))


def set_current(sets: CapabilitySets, *, sixth: int = 0) -> None:
    """Replaces the sets of this process (capset(2)). `sixth`: an argument more, which the kernel
    does not look at and a filter may: `seccomp.OUR_OWN`."""
    low = (sets.effective, sets.permitted, sets.inheritable)
    words = [v & 0xFFFFFFFF for v in low] + [v >> 32 for v in low]
    data = b"".join(w.to_bytes(4, "little") for w in words)
    number = _CAPSET.get(os.uname().machine) if sixth else None
    if number is None:
        libc.check(_capset(_header(), data), "capset")
    else:
        libc.syscall(number, _header(), data, 0, 0, 0, sixth, what="capset")


def limit_bounding(keep: int) -> None:
    """Drops every capability outside the mask from the bounding set; needs CAP_SETPCAP."""
    for number in range(64):
        if keep >> number & 1 and number < len(NAMES):
            continue
        try:
            process.prctl(_PR_CAPBSET_DROP, number)
        except OSError:
            if number >= len(NAMES):
                return  # beyond the last one this kernel has
            raise


def keep_across_setuid(keep: bool) -> None:
    """Whether the permitted set survives giving up uid 0. execve switches it off."""
    process.prctl(_PR_SET_KEEPCAPS, int(keep))


def set_ambient(bits: int) -> None:
    """Replaces the ambient set. Each must be permitted and inheritable already."""
    process.prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    for number in range(len(NAMES)):
        if bits >> number & 1:
            process.prctl(_PR_CAP_AMBIENT, _AMBIENT_RAISE, number)


def _header() -> bytes:
    return _VERSION_3.to_bytes(4, "little") + b"\0\0\0\0"
