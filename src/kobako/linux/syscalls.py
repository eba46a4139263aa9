"""System call numbers of the machines kobako runs on.

Only the calls a filter or a raw call of ours names. The numbers are ABI: they never change.
"""

from __future__ import annotations

import os

from kobako.errors import Unsupported
from kobako.record import Record

X86_64: dict[str, int] = {
    "stat": 4,
    "lstat": 6,
    "fstat": 5,
    "newfstatat": 262,
    "statx": 332,
    "chown": 92,
    "lchown": 94,
    "fchown": 93,
    "fchownat": 260,
    "chmod": 90,
    "fchmod": 91,
    "fchmodat": 268,
    "fchmodat2": 452,
    "open": 2,
    "openat": 257,
    "creat": 85,
    "mkdir": 83,
    "mkdirat": 258,
    "mknod": 133,
    "mknodat": 259,
    "symlink": 88,
    "symlinkat": 266,
    "setuid": 105,
    "setgid": 106,
    "setreuid": 113,
    "setregid": 114,
    "setresuid": 117,
    "setresgid": 119,
    "setfsuid": 122,
    "setfsgid": 123,
    "setgroups": 116,
    "getuid": 102,
    "geteuid": 107,
    "getgid": 104,
    "getegid": 108,
    "getresuid": 118,
    "getresgid": 120,
    "getgroups": 115,
    "capget": 125,
    "capset": 126,
    "prctl": 157,
    "execve": 59,
    "execveat": 322,
    "setxattr": 188,
    "lsetxattr": 189,
    "fsetxattr": 190,
    "getxattr": 191,
    "lgetxattr": 192,
    "fgetxattr": 193,
    "listxattr": 194,
    "llistxattr": 195,
    "flistxattr": 196,
    "removexattr": 197,
    "lremovexattr": 198,
    "fremovexattr": 199,
    "setxattrat": 463,
    "getxattrat": 464,
    "listxattrat": 465,
    "removexattrat": 466,
    "chroot": 161,
    "pivot_root": 155,
    "setns": 308,
    "unshare": 272,
    "clone": 56,
    "clone3": 435,
    "mount": 165,
    "move_mount": 429,
    "setrlimit": 160,
    "prlimit64": 302,
    "fsync": 74,
    "fdatasync": 75,
    "sync": 162,
    "syncfs": 306,
    "sync_file_range": 277,
    "msync": 26,
    "bind": 49,
    "getsockopt": 55,
    "seccomp": 317,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "ioctl": 16,
    "pidfd_open": 434,
    "pidfd_getfd": 438,
}
"""x86-64: asm/unistd_64.h"""

AARCH64: dict[str, int] = {
    "fstat": 80,
    "newfstatat": 79,
    "statx": 291,
    "fchown": 55,
    "fchownat": 54,
    "fchmod": 52,
    "fchmodat": 53,
    "fchmodat2": 452,
    "openat": 56,
    "mkdirat": 34,
    "mknodat": 33,
    "symlinkat": 36,
    "setuid": 146,
    "setgid": 144,
    "setreuid": 145,
    "setregid": 143,
    "setresuid": 147,
    "setresgid": 149,
    "setfsuid": 151,
    "setfsgid": 152,
    "setgroups": 159,
    "getuid": 174,
    "geteuid": 175,
    "getgid": 176,
    "getegid": 177,
    "getresuid": 148,
    "getresgid": 150,
    "getgroups": 158,
    "capget": 90,
    "capset": 91,
    "prctl": 167,
    "execve": 221,
    "execveat": 281,
    "setxattr": 5,
    "lsetxattr": 6,
    "fsetxattr": 7,
    "getxattr": 8,
    "lgetxattr": 9,
    "fgetxattr": 10,
    "listxattr": 11,
    "llistxattr": 12,
    "flistxattr": 13,
    "removexattr": 14,
    "lremovexattr": 15,
    "fremovexattr": 16,
    "setxattrat": 463,
    "getxattrat": 464,
    "listxattrat": 465,
    "removexattrat": 466,
    "chroot": 51,
    "pivot_root": 41,
    "setns": 268,
    "unshare": 97,
    "clone": 220,
    "clone3": 435,
    "mount": 40,
    "move_mount": 429,
    "setrlimit": 164,
    "prlimit64": 261,
    "fsync": 82,
    "fdatasync": 83,
    "sync": 81,
    "syncfs": 267,
    "sync_file_range": 84,
    "msync": 227,
    "bind": 200,
    "getsockopt": 209,
    "seccomp": 277,
    "process_vm_readv": 270,
    "process_vm_writev": 271,
    "ioctl": 29,
    "pidfd_open": 434,
    "pidfd_getfd": 438,
}
"""aarch64: asm-generic/unistd.h; the calls without a directory descriptor do not exist"""

I386: dict[str, int] = {
    "chown": 182,
    "lchown": 16,
    "fchown": 95,
    "fchownat": 298,
    "chown32": 212,
    "lchown32": 198,
    "fchown32": 207,
    "mknod": 14,
    "mknodat": 297,
    "setuid": 23,
    "setgid": 46,
    "setreuid": 70,
    "setregid": 71,
    "setresuid": 164,
    "setresgid": 170,
    "setfsuid": 138,
    "setfsgid": 139,
    "setgroups": 81,
    "setuid32": 213,
    "setgid32": 214,
    "setreuid32": 203,
    "setregid32": 204,
    "setresuid32": 208,
    "setresgid32": 210,
    "setfsuid32": 215,
    "setfsgid32": 216,
    "setgroups32": 206,
    "setrlimit": 75,
    "prlimit64": 340,
}
"""i386 as an x86-64 kernel runs it: asm/unistd_32.h. Only what changes ownership or identity"""


class Machine(Record):
    """What a filter must know of a machine.

    audit_arch: `AUDIT_ARCH_*`, as seccomp_data's `arch` says it.
    foreign_arch, foreign: the 32-bit machine its kernels also run, with the numbers there.
    x32_bit: the bit that marks an x32 call under the same `arch`; 0 where there is none.
    """

    name: str
    audit_arch: int
    numbers: dict[str, int]
    foreign_arch: int = 0
    foreign: dict[str, int] | None = None
    x32_bit: int = 0


def machine(name: str | None = None) -> Machine:
    """The machine `name` as uname(2) spells it; default: this one. `Unsupported` if unknown."""
    wanted = name or os.uname().machine
    if wanted == "x86_64":
        return Machine("x86_64", 0xC000003E, X86_64, 0x40000003, I386, 0x40000000)
    if wanted == "aarch64":
        return Machine("aarch64", 0xC00000B7, AARCH64)
    raise Unsupported(f"no system call numbers for the machine {wanted!r}")
