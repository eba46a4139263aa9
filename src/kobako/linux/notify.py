"""seccomp user notification: the listener's ioctls and structures (seccomp_unotify(2))."""

from __future__ import annotations

import errno
import os

from kobako.linux import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from struct import Struct
else:
    from _struct import Struct  # built in: nothing is looked for

AT_FDCWD, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH = 0xFFFFFF9C, 0x100, 0x1000
"""As arguments of calls, of which the filter sees all 64 bits and the kernel takes 32."""

IOCTL_RECV = 0xC0502100
IOCTL_SEND = 0xC0182101
IOCTL_ID_VALID = 0x40082102
IOCTL_ADDFD = 0x40182103
IOCTL_SET_FLAGS = 0x40082104

_FD_SYNC_WAKE_UP = 1
_RESP_CONTINUE = 1
_ADDFD_SEND = 2

_ioctl = libc.function("ioctl", libc.c_int, libc.c_int, libc.c_ulong, libc.c_void_p)
# struct seccomp_notif { u64 id; u32 pid, flags; struct seccomp_data data };
# struct seccomp_data { int nr; u32 arch; u64 instruction_pointer, args[6] }
_NOTIF = Struct("<QIIiIQ6Q")
_ZEROS = bytes(_NOTIF.size)
# struct seccomp_notif_resp { u64 id; s64 val; s32 error; u32 flags }
_RESP = Struct("<QqiI")
# struct seccomp_notif_addfd { u64 id; u32 flags, srcfd, newfd, newfd_flags }
_ADDFD = Struct("<QIIII")


class Listener:
    """One listener descriptor, with buffers that are reused from call to call.

    After a successful `receive` the fields of the notification are attributes: `id`, `pid` (of the
    thread, in the receiver's pid namespace), `nr`, `arch`, `args`. It must be answered by exactly
    one of `finish`, `resume` or `finish_with_fd`. What is read from the thread by its pid must be
    checked with `valid` afterwards: the thread may have died and its pid been given to another.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.id = self.pid = self.nr = self.arch = 0
        self.args: tuple[int, ...] = ()
        # The kernel may grow the structures; it refuses a buffer that is not zeroed.
        self._notif = libc.buffer(256)
        self._resp = libc.buffer(256)
        self._addfd = libc.buffer(_ADDFD.size)
        self._id = libc.buffer(8)
        self._notif_at = libc.addressof(self._notif)
        self._notif_bytes = memoryview(self._notif).cast("B")[: _NOTIF.size]
        self._resp_at = libc.addressof(self._resp)
        self._addfd_at = libc.addressof(self._addfd)
        self._id_at = libc.addressof(self._id)

    def sync_wake_up(self) -> bool:
        """Asks that the waker's CPU runs the woken (6.6: a round trip costs half); False if the
        kernel does not know it."""
        return bool(_ioctl(self.fd, IOCTL_SET_FLAGS, _FD_SYNC_WAKE_UP) == 0)

    def receive(self) -> bool:
        """Takes the next notification, waiting for one; False when it vanished with its thread."""
        self._notif_bytes[:] = _ZEROS
        if _ioctl(self.fd, IOCTL_RECV, self._notif_at) < 0:
            number = libc.get_errno()
            if number in (errno.ENOENT, errno.EINTR):
                return False
            raise OSError(number, f"SECCOMP_IOCTL_NOTIF_RECV: {os.strerror(number)}")
        fields = _NOTIF.unpack_from(self._notif)
        self.id, self.pid, _, self.nr, self.arch, _ = fields[:6]
        self.args = fields[6:]
        return True

    def valid(self) -> bool:
        """Whether the thread still waits for the answer."""
        self._id.raw = self.id.to_bytes(8, "little")
        return bool(_ioctl(self.fd, IOCTL_ID_VALID, self._id_at) == 0)

    def finish(self, value: int = 0, error: int = 0) -> None:
        """Has the call return `value`, or fail with the errno `error` (positive)."""
        _RESP.pack_into(self._resp, 0, self.id, value, -error, 0)
        _ioctl(
            self.fd, IOCTL_SEND, self._resp_at
        )  # ENOENT: the thread died; nobody is left to tell

    def resume(self) -> None:
        """Has the kernel carry the call out as if there were no filter. Not a security decision:
        the thread can change the memory its arguments point to."""
        _RESP.pack_into(self._resp, 0, self.id, 0, 0, _RESP_CONTINUE)
        _ioctl(self.fd, IOCTL_SEND, self._resp_at)

    def finish_with_fd(self, fd: int, *, cloexec: bool) -> None:
        """Gives the thread a copy of `fd` and has the call return its number there.

        `OSError` (EMFILE for a full table) leaves the notification unanswered.
        """
        flags = os.O_CLOEXEC if cloexec else 0
        _ADDFD.pack_into(self._addfd, 0, self.id, _ADDFD_SEND, fd, 0, flags)
        if _ioctl(self.fd, IOCTL_ADDFD, self._addfd_at) >= 0:
            return
        number = libc.get_errno()
        if number == errno.EINVAL:  # before 5.14 there is no ADDFD_FLAG_SEND: two steps
            _ADDFD.pack_into(self._addfd, 0, self.id, 0, fd, 0, flags)
            given = _ioctl(self.fd, IOCTL_ADDFD, self._addfd_at)
            if given >= 0:
                self.finish(given)
                return
            number = libc.get_errno()
        if number != errno.ENOENT:
            raise OSError(number, f"SECCOMP_IOCTL_NOTIF_ADDFD: {os.strerror(number)}")
