"""Installing seccomp filters: seccomp(2)."""

from __future__ import annotations

import os

from kobako.errors import Invalid, Unsupported
from kobako.linux import libc
from kobako.record import Record

SET_MODE_FILTER = 1
FLAG_LOG = 1 << 1
FLAG_SPEC_ALLOW = 1 << 2
FLAG_NEW_LISTENER = 1 << 3
FLAG_WAIT_KILLABLE_RECV = 1 << 5

RET_KILL_PROCESS = 0x80000000
RET_KILL_THREAD = 0
RET_TRAP = 0x00030000
RET_ERRNO = 0x00050000  # | errno
RET_USER_NOTIF = 0x7FC00000
RET_TRACE = 0x7FF00000  # | number for the tracer
RET_LOG = 0x7FFC0000
RET_ALLOW = 0x7FFF0000

OUR_OWN = 0x6B6F62616B6F0006
"""As the sixth argument of a call that has none: it is one of ours, made under a filter but before
the program, which that filter need not show to a listener. Nothing is lost when somebody else says
so: that one gets what the kernel gives without the filter, which protects nothing."""

_NUMBERS = {"x86_64": 317, "aarch64": 277}  # of seccomp(2), which libc has no function for
_EINVAL = 22


class Filter(Record):
    """What the kernel is given: `sock_filter[]` and the flags of seccomp(2)."""

    program: bytes
    flags: int = 0


def install(program: bytes, flags: int = 0) -> None:
    """Puts this thread, and what it forks, under `program` (`sock_filter[]`) for good.

    FLAG_SPEC_ALLOW: the kernel need not switch off speculation for it, which slows everything down.
    """
    _seccomp(program, flags)


def install_listener(program: bytes) -> int:
    """As `install`, and returns the descriptor (close-on-exec) that gets RET_USER_NOTIF calls.

    A thread can have one listener in its filters: `OSError` with EBUSY says there is one already.
    Where the kernel knows it (5.19) a notified call can only be interrupted by a fatal signal once
    the supervisor has received it.
    """
    try:
        return _seccomp(program, FLAG_NEW_LISTENER | FLAG_WAIT_KILLABLE_RECV)
    except OSError as e:
        if e.errno != _EINVAL:
            raise
    return _seccomp(program, FLAG_NEW_LISTENER)


def _seccomp(program: bytes, flags: int) -> int:
    count = len(program) // 8
    if len(program) % 8 or not 0 < count <= 4096:
        raise Invalid(f"a seccomp filter of {len(program)} bytes is not 1 to 4096 instructions")
    code = libc.buffer(len(program))
    code.raw = program
    # struct sock_fprog { unsigned short len; struct sock_filter *filter; }
    fprog = count.to_bytes(8, "little") + libc.addressof(code).to_bytes(8, "little")
    return libc.syscall(_number(), SET_MODE_FILTER, flags, fprog, what="seccomp")


def _number() -> int:
    machine = os.uname().machine
    try:
        return _NUMBERS[machine]
    except KeyError:
        raise Unsupported(f"no system call numbers for the machine {machine!r}") from None
