"""Who answers the intercepted calls of a container: its supervisor, which is a process of its own,
or, for as long as that can, a lookout in the monitor.
"""

from __future__ import annotations

import os
import select
import time

from kobako.linux import process
from kobako.linux.channel import Channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.runtime.bundle import Interception, Lookout

_POLLIN = 1
_PAUSE_S = 0.01


class Supervision:
    """The monitor's side of an `Interception`.

    `pid` is the supervisor's, 0 while there is none. `served` ends (POLLHUP) when that is done with
    the container's files; -1 before.
    """

    def __init__(
        self,
        intercept: Interception,
        init_pid: int,
        complain: Callable[[BaseException], None],
        *,
        at_once: bool,
    ) -> None:
        """`complain` is called in the supervisor with what ended it. `at_once`: the supervisor is
        forked now, and gets ready while the first process makes its mounts."""
        self.pid = 0
        self._intercept = intercept
        self._init_pid = init_pid
        self._complain = complain
        self._channel: Channel | None = None
        self._ends: tuple[Channel, Channel] | None = None  # of a channel to who is not there yet
        self._lookout: Lookout | None = None
        if intercept.lookout is None or at_once:
            self._fork()
        else:
            self._lookout = intercept.lookout(init_pid)

    @property
    def served(self) -> int:
        return self._channel.fileno() if self._channel else -1

    @property
    def watched(self) -> list[int]:
        """Descriptors: when one can be read, `serve` is to be called."""
        return self._lookout.descriptors if self._lookout else []

    def hear(self, message: bytes, fds: list[int]) -> None:
        """What the first process said of itself; its listener, if that is what it sent."""
        if message != b"L":
            return
        if self._lookout:
            # What a supervisor takes is opened while the start can still be refused for want of it.
            self._ends = Channel.pair()
            self._lookout.take(fds[0])
        elif self._channel:
            self._channel.send(b"L", fds)
            os.close(fds[0])

    def serve(self, fd: int) -> bool:
        """True when there is a supervisor from now on, and nothing more is `watched`."""
        if self._lookout is None or self._lookout.answer(fd):
            return False
        return self.hand_over()

    def hand_over(self) -> bool:
        """A supervisor from now on, whatever is asked. False where there can be no further process
        just now: then who asked is told so, and may ask again."""
        if self._lookout:
            try:
                self._fork()
            except OSError:
                self._lookout.refuse()
                time.sleep(_PAUSE_S)
                return False
            self._lookout.close()
            self._lookout = None
        return True

    def next_of(self, channel: Channel) -> tuple[bytes, list[int]]:
        """`channel.receive()`, but calls are answered until it returns."""
        poll = select.poll()
        for fd in (channel.fileno(), *self.watched):
            poll.register(fd, _POLLIN)
        while self._lookout:
            for fd, events in poll.poll():
                if fd == channel.fileno():
                    return channel.receive()
                if events & _POLLIN:
                    self.serve(fd)
                else:  # there is nobody any more who could ask
                    poll.unregister(fd)
        return channel.receive()

    def release(self) -> None:
        """The monitor has closed `served`."""
        if self._channel:
            self._channel.detach()

    def close(self) -> None:
        """The first process has ended before it got a listener: there is nothing to serve."""
        if self._channel:
            self._channel.close()
        if self.pid:
            os.waitpid(self.pid, 0)

    def _fork(self) -> None:
        self._ends = self._ends or Channel.pair()
        self.pid = os.fork()
        (ours, theirs), self._ends = self._ends, None
        if self.pid:
            theirs.close()
            self._channel = ours
            return

        def listener() -> int:
            _, fds = theirs.receive()
            return fds[0] if fds else -1

        try:
            keep = {theirs.fileno(), *self._intercept.fds, *self.watched}
            process.close_all_but(keep)
            self._intercept.serve(listener, self._init_pid, self._lookout)
            theirs.close()  # what `Monitor.served` waits for: the end of a process takes longer
        except BaseException as fault:
            self._complain(fault)
            os._exit(1)
        finally:
            os._exit(0)
