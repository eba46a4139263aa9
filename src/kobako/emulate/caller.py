"""The thread whose call is being answered: where its paths lead.

The supervisor is chrooted into the container, so whatever a path says, it ends inside. Paths are
resolved by the kernel, from the caller's own working directory and, once anything in the container
has changed its root, from the caller's own root. Nothing here can reach what the container cannot:
the supervisor's only way out is a descriptor of /proc, from which it opens nothing but `PID/cwd`,
`PID/root`, `PID/fd/N`, `PID/exe` and `PID/status`, each built of numbers, a setting of the
machine's that any process may read, and, once, modules of this room.
"""

from __future__ import annotations

import errno
import os

from kobako.linux.notify import AT_FDCWD


class Paths:
    """Makes a caller's paths our own.

    Between calls our working directory is /proc as the supervisor sees it. `enter` may move it to
    the caller's; `leave` brings it back and must always follow.
    """

    def __init__(self, proc_fd: int, init_pid: int) -> None:
        """Takes over `proc_fd` and chroots this process into the container of `init_pid`."""
        self._proc_fd = proc_fd
        os.fchdir(proc_fd)
        self._depth = len(self._status(init_pid)[b"NSpid"].split()) - 1
        self._root_fd = os.open(b"%d/root" % init_pid, os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY)
        self.roots_differ = False
        """Set once something in the container has changed a root or a mount."""
        self._away = False
        self.go_home()

    def go_home(self) -> None:
        """Makes the container's own root ours, and goes back to /proc."""
        os.fchdir(self._root_fd)
        os.chroot(b".")
        os.fchdir(self._proc_fd)
        self._away = False

    def depart(self) -> None:
        """Lets go of the container's tree, for good."""
        os.fchdir(self._proc_fd)
        os.chroot(b".")
        os.close(self._root_fd)

    def enter(self, tid: int, directory: int, path: bytes) -> bytes:
        """A path that means to us what `path`, relative to the descriptor `directory`, means to the
        thread `tid`. An empty path means the descriptor itself (AT_EMPTY_PATH)."""
        if self.roots_differ:
            os.chroot(b"%d/root" % tid)
        directory &= 0xFFFFFFFF
        if path[:1] == b"/":
            if path.startswith((b"/proc/", b"/dev/")):
                return self.own_proc(tid, path)
            return path
        place = b"%d/cwd" % tid if directory == AT_FDCWD else b"%d/fd/%d" % (tid, directory)
        if not path:
            return place
        try:
            self._away = True
            os.chdir(place)
        except FileNotFoundError:
            raise OSError(errno.EBADF, "descriptor") from None
        return path

    def descriptor(self, tid: int, number: int) -> bytes:
        """A path to what the caller's descriptor `number` (or AT_FDCWD) is open on; EBADF."""
        place = self.enter(tid, number, b"")
        try:
            os.lstat(place)
        except FileNotFoundError:
            raise OSError(errno.EBADF, "descriptor") from None
        return place

    def leave(self) -> None:
        if self._away:
            os.fchdir(self._proc_fd)
            self._away = False

    def own_proc(self, tid: int, path: bytes) -> bytes:
        """`path` with what depends on who asks (/proc/self, /dev/fd, /dev/stdout) spelt out.

        The numbers are those of the container's pid namespace, so the path stays in its /proc.
        """
        if path.startswith(b"/dev/fd/"):
            path = b"/proc/self/fd/" + path[8:]
        elif path in _STANDARD:
            path = b"/proc/self/fd/%d" % _STANDARD.index(path)
        for name, key in ((b"/proc/self", b"NStgid"), (b"/proc/thread-self", b"NSpid")):
            if path == name or path.startswith(name + b"/"):
                numbers = self._status(tid)[key].split()
                if len(numbers) > self._depth:
                    return b"/proc/" + numbers[self._depth] + path[len(name) :]
        return path

    def follow(self, tid: int, path: bytes) -> bytes:
        """Where the symbolic links at the end of `path` lead, for a chain that goes through
        /proc/self and so led nowhere when the kernel followed it on our behalf."""
        for _ in range(10):
            try:
                target = os.readlink(path)
            except OSError:
                break
            if target[:1] != b"/":
                target = os.path.join(os.path.dirname(path), target)
            path = self.own_proc(tid, target)
            if path != target:  # a magic link now: the kernel knows where it leads
                break
        return path

    def status(self, tid: int) -> dict[bytes, bytes]:
        """/proc/PID/status, field by field."""
        return self._status(tid)

    def pid_in_container(self, pid: int) -> int:
        """`pid` as the container's own processes see it; 0 when they cannot."""
        return self._number(pid, b"NStgid")

    def thread_in_container(self, tid: int) -> int:
        """As `pid_in_container`, for a thread."""
        return self._number(tid, b"NSpid")

    def _number(self, pid: int, field: bytes) -> int:
        try:
            numbers = self._status(pid)[field].split()
        except OSError:
            return 0
        return int(numbers[self._depth]) if len(numbers) > self._depth else 0

    def guards_links(self) -> bool:
        """Whether this machine has fs.protected_hardlinks (proc_sys_fs(5))."""
        try:
            with open("sys/fs/protected_hardlinks", "rb", buffering=0) as file:  # we are at home
                return file.read(1) == b"1"
        except OSError:
            return False

    def umask(self, tid: int) -> int:
        return int(self._status(tid)[b"Umask"], 8)

    def absolute(self, path: bytes, follow: bool) -> bytes:
        """The one absolute name, from the container's root, of the file at `path`; ends at home."""
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
        try:
            self.go_home()
            return os.readlink(b"self/fd/%d" % fd, dir_fd=self._proc_fd)
        finally:
            os.close(fd)

    def _status(self, tid: int) -> dict[bytes, bytes]:
        fd = os.open(b"%d/status" % tid, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc_fd)
        try:
            lines = os.read(fd, 8192).split(b"\n")
        finally:
            os.close(fd)
        return {key: value.strip() for key, _, value in (line.partition(b":") for line in lines)}


_STANDARD = (b"/dev/stdin", b"/dev/stdout", b"/dev/stderr")
