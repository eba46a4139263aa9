"""Those who look at a container from outside, as its monitor sees them: see `door`.

Like `monitor`, which loads it as a module of its own, this file imports built-in modules alone.
"""

import _socket
import select
import sys

_POLLIN, _POLLOUT = 1, 4
_RIGHTS = 1  # SOL_SOCKET, and SCM_RIGHTS
_PIECE = 32000  # bytes sent at once
_MOST = 100
_MOST_OWED = 1 << 20  # bytes
_SETTLE_MS = 2000


class Guests:
    """`door` is the socket they come in by, a descriptor. `once`: stdin ends with the first of them
    that has it. `inside`: descriptors of those who are there already."""

    def __init__(self, door: int, once: bool, inside: list[int]) -> None:
        self.once = once
        self._door = _socket.socket(fileno=door)
        self._inside = {fd: _socket.socket(fileno=fd) for fd in inside}
        # What they have not taken yet, of those who have been given what they asked for.
        self._owed: dict[int, list[bytes]] = {fd: [] for fd in inside}
        self._poll = select.poll()

    def descriptors(self) -> list[int]:
        """The door, and those who are inside."""
        return [self._door.fileno(), *self._inside]

    def watch(self, poll: select.poll) -> None:
        """Registers what `serve` is to be called for."""
        self._poll = poll
        for fd in self.descriptors():
            poll.register(fd, _POLLIN)

    def serve(self, fd: int, events: int, terminal: int, stdin: int) -> bool:
        """Lets somebody in, or gives one the terminal, or stdin if that is what is asked for (-1:
        there is none); whether stdin is given away."""
        if fd == self._door.fileno():
            self._admit()
        elif fd in self._inside:
            if events & _POLLOUT:
                self._pay(fd)
            if events & ~_POLLOUT:
                return self._answer(fd, terminal, stdin)
        return False

    def _admit(self) -> None:
        try:
            guest = _socket.socket(fileno=self._door._accept()[0])  # type: ignore[attr-defined]  # typeshed has it on socket alone
        except BlockingIOError:
            return
        except OSError:  # there are no more descriptors: better nobody than to try for ever
            self._poll.unregister(self._door)
            return
        if len(self._inside) < _MOST:
            guest.setblocking(False)
            self._inside[guest.fileno()] = guest
            self._poll.register(guest, _POLLIN)

    def _answer(self, fd: int, terminal: int, stdin: int) -> bool:
        asked = b""
        given = terminal
        try:
            asked = self._inside[fd].recv(1)
            if asked == b"I" and terminal < 0:
                given = stdin
            if asked:
                rights = [given.to_bytes(4, sys.byteorder)] if given >= 0 else []
                self._inside[fd].sendmsg([b"W"], [(_RIGHTS, _RIGHTS, r) for r in rights])
                self._owed.setdefault(fd, [])
        except BlockingIOError:
            return False
        except OSError:
            asked = b""
        if not asked:
            self._poll.unregister(fd)
            self._owed.pop(fd, None)
            self._inside.pop(fd).close()
        return self.once and bool(asked) and 0 <= given == stdin

    def tell(self, kind: bytes, data: bytes) -> None:
        """Sends them something. Who is slow is owed it, and gets no more than a MiB later."""
        for fd, owed in self._owed.items():
            if sum(map(len, owed)) < _MOST_OWED:
                owed += [kind + data[at : at + _PIECE] for at in range(0, len(data), _PIECE)]
            self._pay(fd)

    def _pay(self, fd: int) -> None:
        owed = self._owed.get(fd, [])
        wanted = _POLLIN
        try:
            while owed:
                self._inside[fd].send(owed[0])
                owed.pop(0)
        except BlockingIOError:
            wanted |= _POLLOUT
        except OSError:  # it has gone, which is told next
            owed.clear()
        self._poll.modify(fd, wanted)

    def settle(self) -> None:
        """Gives those who are there still what they are owed, at the end; not for long."""
        for fd in [fd for fd, owed in self._owed.items() if owed]:
            poll = select.poll()
            poll.register(fd, _POLLOUT)
            while self._owed[fd] and poll.poll(_SETTLE_MS):
                self._pay(fd)
