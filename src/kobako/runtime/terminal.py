"""The terminal of a process that enters a container: one of the container's own devpts."""

from __future__ import annotations

import os

from kobako.errors import StartFailed
from kobako.linux import inroot, pty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kobako.linux.channel import Channel


def take(
    root_fd: int, document: dict[str, Any], channel: Channel, show: Callable[[int], None]
) -> None:
    """Opens a terminal, makes it ours and puts the standard streams on it.

    Its size and owner are those of the runtime-spec `process`. `show` is given the slave; the
    master is sent over the channel (b"M"). `StartFailed` where there is none to be had.
    """
    try:
        master, slave = _open(root_fd, document)
    except OSError as fault:
        raise StartFailed(f"cannot open a terminal in the container: {fault.strerror}") from None
    show(slave)
    pty.make_controlling(slave)
    for number in 0, 1, 2:
        os.dup2(slave, number)
    channel.send(b"M", (master,))
    os.close(master)
    os.close(slave)


def _open(root_fd: int, document: dict[str, Any]) -> tuple[int, int]:
    """(master, slave)."""
    flags = os.O_RDWR | os.O_NOCTTY
    master, slave, _ = pty.open_pair(inroot.open_in_root(root_fd, "/dev/pts/ptmx", flags))
    size = document.get("consoleSize")
    if size:
        pty.set_size(master, size["height"], size["width"])
    uid = (document.get("user") or {}).get("uid", 0)
    if uid:
        try:
            os.fchown(slave, uid, -1)
        except OSError:
            pass  # this user namespace has no such id
    return master, slave
