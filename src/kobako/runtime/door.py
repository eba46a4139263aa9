"""The door of a running container: a socket in its state directory, at which its monitor listens.

SOCK_SEQPACKET. Who knocks says b"I" (stdin is wanted) or b"N" (it is not) and gets b"W" with the
master of the container's terminal, if there is one, or else with the writing end of its stdin, if
it has one and that is asked for. Then come, as they happen: b"1" or b"2" and output (of that
stream) that could not be logged, and b"Z" and the exit code.
"""

from __future__ import annotations

import _socket
import os

from kobako.linux.channel import Channel

_SEQPACKET = 5
_NAME = "attach.sock"


def build(state: int) -> int:
    """A listening socket in the state directory open as `state`, for its owner alone. An older one
    is replaced. It does not block and is closed on exec."""
    kind = _SEQPACKET | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
    door = _socket.socket(_socket.AF_UNIX, kind, 0)
    os.fchmod(door.fileno(), 0o600)  # before it has a name
    try:
        os.unlink(_NAME, dir_fd=state)
    except FileNotFoundError:
        pass
    door.bind(_address(state))
    door.listen(16)
    return door.detach()


def knock(state_dir: str, *, stdin: bool) -> tuple[Channel | None, int]:
    """(the monitor's messages, the terminal's master or the end of stdin to write to); None and -1
    where nobody listens: the client that started the container has its input to itself."""
    state = os.open(state_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        monitor = Channel.connect(_address(state))
    except (FileNotFoundError, ConnectionRefusedError):
        return None, -1
    finally:
        os.close(state)
    monitor.send(b"I" if stdin else b"N")
    message, fds = monitor.receive()
    if not message:
        monitor.close()
        return None, -1
    return monitor, fds[0] if fds else -1


def _address(state: int) -> str:
    """However long the path of the directory is, the socket's address has room for this."""
    return f"/proc/self/fd/{state}/{_NAME}"
