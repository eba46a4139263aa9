"""Who answers a container's calls for as long as a look is enough, where it is watched anyway.

Many a program only asks who it is and whose some files are, or nothing at all. So a supervisor, one
process more that must be forked and loaded (a sixth of what the shortest `run` takes), is not there
before something asks for it; and what looks (`looks`) is loaded while the program starts.
"""

from __future__ import annotations

import os

from kobako import groups
from kobako.emulate import control

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from kobako.emulate.looks import Looks
    from kobako.linux.notify import Listener


class Lookout:
    """Answers what a container asks, without being in it, until it cannot.

    It belongs to a process that may look at the container's files through /proc. `descriptors` are
    to be waited for; `answer` is called when one can be read. When that returns False a supervisor
    takes over: it is forked from here, and `close` called on this side.
    """

    def __init__(self, init_pid: int, control_socket: str) -> None:
        self.server: _socket.socket = control.listen(control_socket)
        self._init_pid = init_pid
        self._fd = -1
        self._root = -1
        self._looks: Looks | None = None

    @property
    def listener(self) -> Listener | None:
        return self._looking().listener if self._fd >= 0 else None

    @property
    def waiting(self) -> bool:
        """Whether the listener has received a call that is not answered."""
        return self._looks is not None and self._looks.waiting

    def take(self, listener_fd: int) -> None:
        """From now on the calls of that listener are answered. The container's first process has
        the root it is to have."""
        self._fd = listener_fd
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            self._root = os.open(b"/proc/%d/root" % self._init_pid, flags)
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended
        try:
            self._looking()  # just now it goes on by itself: no sooner, as that kept it waiting
        except OSError:
            pass  # tried again when something is asked

    @property
    def descriptors(self) -> list[int]:
        own = [self.server.fileno()]
        return own if self._fd < 0 else [self._fd, *own]

    def answer(self, fd: int) -> bool:
        """False when a supervisor has to; what was asked is not lost."""
        if fd != self._fd:
            return False
        try:
            looks = self._looking()
        except OSError:
            return False  # a limit: who comes instead may have room
        return looks.answer()

    def refuse(self) -> None:
        """There can be no supervisor now: what has been received fails (EAGAIN)."""
        if self._looks is not None:
            self._looks.refuse()

    def close(self) -> None:
        """Lets go of everything; a supervisor that was forked has it too."""
        self.server.close()
        for fd in (self._fd, self._root):
            if fd >= 0:
                os.close(fd)

    def _looking(self) -> Looks:
        if self._looks is None:
            groups.load("looks")
            from kobako.emulate.looks import Looks

            self._looks = Looks(self._fd, self._root)
        return self._looks
