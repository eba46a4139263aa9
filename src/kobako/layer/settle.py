"""A tree about to become a layer loses the traces of the clock.

What a layer's tar says and what its tree says is the same afterwards, whether the tree was unpacked
from the tar or the tar packed from the tree.
"""

from __future__ import annotations

import os
import stat

from kobako.layer.change import Change
from kobako.linux import fs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SECOND = 10**9
PYC_HEAD = 16
"""Bytes at the beginning of Python's byte code that say what source it is of."""
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def settle(tree_fd: int, changes: Iterable[Change], epoch: int) -> None:
    """Gives what has changed in a tree times of whole seconds, none later than `epoch` (seconds).

    Python's byte code that is valid by the time of its source (PEP 552: flags 0) is told the time
    its source now has. The tree must not be in use. Raises `OSError`.
    """
    directory, fd = b"", tree_fd
    try:
        for change in changes:
            if change.kind == "D":
                continue
            above, _, name = os.fsencode(change.path).strip(b"/").rpartition(b"/")
            if not name:
                continue
            if above != directory:
                if fd != tree_fd:
                    os.close(fd)
                    fd = tree_fd
                directory, fd = above, fs.open_directory(tree_fd, above) if above else tree_fd
            _settle_one(fd, name, epoch)
    finally:
        if fd != tree_fd:
            os.close(fd)


def _settle_one(fd: int, name: bytes, epoch: int) -> None:
    info = os.stat(name, dir_fd=fd, follow_symlinks=False)
    if name.endswith(b".pyc") and stat.S_ISREG(info.st_mode) and info.st_size >= PYC_HEAD:
        settle_byte_code(fd, name, epoch)
    wanted = min(info.st_mtime_ns // _SECOND, epoch) * _SECOND
    if info.st_mtime_ns != wanted:
        os.utime(name, ns=(wanted, wanted), dir_fd=fd, follow_symlinks=False)


def settle_byte_code(fd: int, name: bytes, epoch: int) -> None:
    """Tells the byte code in the file `name` of the directory `fd`."""
    file = os.open(name, _OPEN, dir_fd=fd)
    try:
        head = os.pread(file, PYC_HEAD, 0)
        told = byte_code_head(head, epoch)
        if told != head:
            os.pwrite(file, told, 0)
    finally:
        os.close(file)


def byte_code_head(head: bytes, epoch: int) -> bytes:
    """What the first `PYC_HEAD` bytes of a `.pyc` file are when its source is not from after
    `epoch` (seconds)."""
    by_time = head[2:8] == b"\r\n\0\0\0\0"  # the end of the magic number, and flags 0
    if not by_time or int.from_bytes(head[8:12], "little") <= epoch:
        return head
    return head[:8] + epoch.to_bytes(4, "little") + head[12:]
