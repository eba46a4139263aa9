"""Pseudoterminals of any devpts instance, and the mode of the terminal we are called from."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TIOCGPTN, _TIOCSPTLCK, _TIOCGPTPEER = 0x80045430, 0x40045431, 0x5441
_TIOCSCTTY, _TIOCGWINSZ, _TIOCSWINSZ = 0x540E, 0x5413, 0x5414


def open_pair(ptmx: int | str) -> tuple[int, int, int]:
    """Opens a pseudoterminal by its instance's ptmx: (master, slave, number of the slave).

    `ptmx` is a path ("/dev/pts/ptmx") or a descriptor of the opened device, which becomes the
    master. The slave comes from the master itself (TIOCGPTPEER), so no name is looked up.
    """
    import fcntl

    flags = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC
    master = os.open(ptmx, flags) if isinstance(ptmx, str) else ptmx
    fcntl.ioctl(master, _TIOCSPTLCK, b"\0\0\0\0")
    number = int.from_bytes(fcntl.ioctl(master, _TIOCGPTN, b"\0\0\0\0"), "little")
    return master, fcntl.ioctl(master, _TIOCGPTPEER, flags), number


def make_controlling(slave: int) -> None:
    """Makes the terminal this process's controlling one; the process must lead a session."""
    import fcntl

    fcntl.ioctl(slave, _TIOCSCTTY, 0)


def get_size(fd: int) -> tuple[int, int]:
    """(rows, columns) of a terminal."""
    import fcntl

    raw = fcntl.ioctl(fd, _TIOCGWINSZ, b"\0" * 8)
    return int.from_bytes(raw[0:2], "little"), int.from_bytes(raw[2:4], "little")


def set_size(fd: int, rows: int, columns: int) -> None:
    """Sets a terminal's size; its foreground processes get SIGWINCH when it changes."""
    import fcntl

    raw = rows.to_bytes(2, "little") + columns.to_bytes(2, "little") + b"\0\0\0\0"
    fcntl.ioctl(fd, _TIOCSWINSZ, raw)


class RawMode:
    """A terminal in raw mode, until `restore`: every byte passes, nothing is echoed or a signal."""

    def __init__(self, fd: int) -> None:
        import termios

        self._fd = fd
        self._before: list[Any] = termios.tcgetattr(fd)
        self.enter()

    def enter(self) -> None:
        """Puts the terminal in raw mode (again, after a stop)."""
        import termios

        mode: list[Any] = termios.tcgetattr(self._fd)
        mode[0] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
            | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
        )  # fmt: skip
        mode[1] &= ~termios.OPOST
        mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._fd, termios.TCSADRAIN, mode)

    def restore(self) -> None:
        """Puts the mode back as it was."""
        import termios

        try:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)
        except termios.error:
            pass  # the terminal is gone
