"""Waiting for files to change (inotify(7))."""

from __future__ import annotations

import os
import select
import time

from kobako.linux.libc import c_char_p, c_int, c_uint, check, function

_IN_MODIFY, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE = 2, 0x80, 0x100, 0x200
_UNTOLD_S = 0.1  # where the kernel tells nothing: how often one looks

_init = function("inotify_init1", c_int, c_int)
_add_watch = function("inotify_add_watch", c_int, c_int, c_char_p, c_uint)


class DirectoryWatch:
    """What is written, made or renamed in a directory from now on; or, of `names`, what is made or
    removed. Where there are no more watches to be had (they are counted for each user) `wait` only
    sleeps, and there is no `fileno` but -1."""

    def __init__(self, path: str, *, names: bool = False) -> None:
        self._fd = -1
        try:
            self._fd = check(_init(os.O_CLOEXEC | os.O_NONBLOCK), "inotify_init1")
            what = _IN_CREATE | (_IN_DELETE if names else _IN_MODIFY | _IN_MOVED_TO)
            check(_add_watch(self._fd, os.fsencode(path), what), "inotify_add_watch", path)
        except OSError:
            self.close()

    def fileno(self) -> int:
        """What polls readable when `wait` would return at once."""
        return self._fd

    def wait(self, seconds: float) -> None:
        """Returns when something has happened since the last time, at the latest after `seconds`;
        also for nothing."""
        if self._fd < 0:
            time.sleep(min(seconds, _UNTOLD_S))
            return
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        if poll.poll(seconds * 1000):
            os.read(self._fd, 65536)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
