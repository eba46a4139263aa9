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
_PYC_HEAD = 16
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
    if name.endswith(b".pyc") and stat.S_ISREG(info.st_mode) and info.st_size >= _PYC_HEAD:
        _settle_byte_code(fd, name, epoch)
    wanted = min(info.st_mtime_ns // _SECOND, epoch) * _SECOND
    if info.st_mtime_ns != wanted:
        os.utime(name, ns=(wanted, wanted), dir_fd=fd, follow_symlinks=False)


def _settle_byte_code(fd: int, name: bytes, epoch: int) -> None:
    file = os.open(name, _OPEN, dir_fd=fd)
    try:
        head = os.pread(file, _PYC_HEAD, 0)
        if head[2:8] != b"\r\n\0\0\0\0":  # the end of the magic number, and flags 0
            return
        if int.from_bytes(head[8:12], "little") > epoch:
            os.pwrite(file, epoch.to_bytes(4, "little"), 8)
    finally:
        os.close(file)
