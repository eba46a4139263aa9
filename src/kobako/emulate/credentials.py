"""Who an emulated process is: user ids, group ids, capabilities, and how calls change them.

The rules are those of credentials(7) and capabilities(7). `Credentials` is a value; `Table` finds
the credentials of a process.
"""

from __future__ import annotations

import errno
import os

from kobako.errors import Unsupported
from kobako.linux import libc
from kobako.linux.syscalls import machine
from kobako.record import Record

RLIMIT_LOCKS = 10
PR_GET_KEEPCAPS = 7

CAP_CHOWN = 1 << 0
CAP_DAC_OVERRIDE = 1 << 1
CAP_DAC_READ_SEARCH = 1 << 2
CAP_FOWNER = 1 << 3
CAP_SETGID = 1 << 6
CAP_SETUID = 1 << 7
CAP_SYS_CHROOT = 1 << 18
CAP_MKNOD = 1 << 27
CAP_SETFCAP = 1 << 31

KEEP = 0xFFFFFFFF
"""(uid_t) -1: the id a call leaves as it is."""


class Credentials(Record):
    """The credentials of a process.

    `permitted` and `effective` are capability masks, or None while the process has only ever been
    root: then the kernel's own masks are the truth, and the calls that change them run natively.
    """

    ruid: int = 0
    euid: int = 0
    suid: int = 0
    fsuid: int = 0
    rgid: int = 0
    egid: int = 0
    sgid: int = 0
    fsgid: int = 0
    groups: tuple[int, ...] = ()
    permitted: int | None = None
    effective: int | None = None
    keep_capabilities: bool = False

    def with_uids(self, ruid: int, euid: int, suid: int, native: int) -> Credentials:
        """The uids replaced (KEEP leaves one), capabilities as the kernel then adjusts them.

        native: the kernel's permitted mask, where `permitted` is None.
        """
        new = tuple(
            old if wanted == KEEP else wanted
            for old, wanted in zip(
                (self.ruid, self.euid, self.suid), (ruid, euid, suid), strict=True
            )
        )
        permitted = native if self.permitted is None else self.permitted
        effective = native if self.effective is None else self.effective
        had_root = 0 in (self.ruid, self.euid, self.suid)
        if had_root and 0 not in new and not self.keep_capabilities:
            permitted = effective = 0
        if new[1] != 0:
            effective = 0 if self.euid == 0 else effective
        elif self.euid != 0:
            effective = permitted
        untouched = self.permitted is None and new == (0, 0, 0)
        return self.replace(
            ruid=new[0],
            euid=new[1],
            suid=new[2],
            fsuid=new[1],
            permitted=None if untouched else permitted,
            effective=None if untouched else effective,
        )

    def with_gids(self, rgid: int, egid: int, sgid: int) -> Credentials:
        new_egid = self.egid if egid == KEEP else egid
        return self.replace(
            rgid=self.rgid if rgid == KEEP else rgid,
            egid=new_egid,
            sgid=self.sgid if sgid == KEEP else sgid,
            fsgid=new_egid,
        )

    def after_exec(self, owner_uid: int | None, owner_gid: int | None) -> Credentials:
        """After execve; the ids of a set-user-id or set-group-id file are given, else None."""
        euid = self.euid if owner_uid is None else owner_uid
        egid = self.egid if owner_gid is None else owner_gid
        root = 0 in (self.ruid, euid)
        return self.replace(
            euid=euid,
            suid=euid,
            fsuid=euid,
            egid=egid,
            sgid=egid,
            fsgid=egid,
            keep_capabilities=False,
            permitted=None if root else 0,
            effective=None if euid == 0 else 0,
        )

    def in_group(self, gid: int) -> bool:
        return gid == self.fsgid or gid in self.groups

    @property
    def is_plain_root(self) -> bool:
        """What the kernel may do to its files is the kernel's own affair."""
        return self.fsuid == 0 and self.effective is None

    def as_real(self) -> Credentials:
        """What access(2) asks about: the real ids, and of capabilities what they would have."""
        same = self.ruid == self.fsuid and self.rgid == self.fsgid
        if same and self.ruid and not self.effective:
            return self
        held = self.permitted if self.ruid == 0 else 0
        return self.replace(fsuid=self.ruid, fsgid=self.rgid, effective=held)

    @property
    def creates_as_root(self) -> bool:
        return self.fsuid == 0 and self.fsgid == 0


ROOT = Credentials(groups=(0,))
"""Whoever begins under a filter, as docker's root."""


class Table:
    """The credentials of every process of a container.

    They must be inherited by fork, survive exec, and be gone with the process, and a supervisor
    that watches calls sees none of these happen: the parent of a daemon may be dead before its
    child makes its first call. So the kernel keeps the books: which credentials a process has is
    written as a number into its soft RLIMIT_LOCKS, which has had no meaning since Linux 2.4.25.
    A resource limit belongs to the process (not the thread), is inherited by fork, kept by exec,
    and read in one call. The filter keeps the container from changing it. Numbers below `_BASE`
    or out of the table mean root.
    """

    _BASE = 0x6B6F6200
    _LIMIT = 1 << 14

    def __init__(self, init_pid: int) -> None:
        self._known: list[Credentials] = [ROOT]
        self._index: dict[Credentials, int] = {ROOT: 0}
        self._capget_nr = machine().numbers["capget"]
        self._old = libc.buffer(16)
        self._new = libc.buffer(16)
        self._caps = libc.buffer(24)
        self._header = libc.buffer(8)
        self._prlimit = libc.function(
            "prlimit", libc.c_int, libc.c_int, libc.c_int, libc.c_void_p, libc.c_void_p
        )
        self._old_at = libc.addressof(self._old)
        self._new_at = libc.addressof(self._new)
        self._view = memoryview(self._old).cast("B").cast("Q")
        if self._prlimit(init_pid, RLIMIT_LOCKS, None, self._old_at) < 0:
            libc.check(-1, "prlimit", str(init_pid))
        self._hard = self._view[1]
        if self._hard < self._BASE + self._LIMIT:
            raise Unsupported(
                f"RLIMIT_LOCKS is limited to {self._hard}; the emulation of users needs it free",
                hint="start kobako with `ulimit -x unlimited`",
            )

    def of(self, pid: int) -> Credentials:
        """The credentials of the process that thread `pid` belongs to; ESRCH when it is gone."""
        if self._prlimit(pid, RLIMIT_LOCKS, None, self._old_at) < 0:
            raise OSError(libc.get_errno(), "prlimit")
        number = self._view[0] - self._BASE
        return self._known[number] if 0 <= number < len(self._known) else ROOT

    def set(self, pid: int, credentials: Credentials) -> None:
        """EAGAIN when the container has used up 16384 different credentials."""
        number = self._index.get(credentials)
        if number is None:
            number = len(self._known)
            if number >= self._LIMIT:
                raise OSError(errno.EAGAIN, "too many different credentials")
            self._known.append(credentials)
            self._index[credentials] = number
        value = self._BASE + number
        self._new.raw = value.to_bytes(8, "little") + self._hard.to_bytes(8, "little")
        if self._prlimit(pid, RLIMIT_LOCKS, self._new_at, None) < 0:
            raise OSError(libc.get_errno(), os.strerror(libc.get_errno()))

    def native_capabilities(self, pid: int) -> tuple[int, int]:
        """What the kernel says thread `pid` has: (permitted, effective)."""
        # struct __user_cap_header { u32 version; int pid }; then two { effective, permitted, inh. }
        self._header.raw = (0x20080522).to_bytes(4, "little") + pid.to_bytes(4, "little")
        libc.syscall(self._capget_nr, self._header, self._caps, what="capget")
        w = memoryview(self._caps).cast("B").cast("I")
        return w[1] | w[4] << 32, w[0] | w[3] << 32

    def can(self, pid: int, credentials: Credentials, capability: int) -> bool:
        effective = credentials.effective
        if effective is None:
            effective = self.native_capabilities(pid)[1]
        return bool(effective & capability)
