"""File-system calls `os` lacks: reflinks, removal of anything."""

from __future__ import annotations

import errno
import os
import stat

from kobako.linux.inroot import BENEATH, NO_SYMLINKS, openat2

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags to open a directory by, never through a symbolic link as its last component."""

_FICLONE = 0x40049409
_DEEP = 64
_ATTEMPTS = 16


def open_directory(root_fd: int, path: bytes) -> int:
    """Opens the directory `path` below `root_fd`; `b""` is the root itself.

    Neither a symbolic link nor `..` on the way is followed: OSError (ELOOP, EXDEV).
    """
    return openat2(root_fd, path or b".", DIRECTORY, BENEATH | NO_SYMLINKS)


def copy_content(source: int, target: int, size: int) -> None:
    """Copies a file's content between descriptors at offset 0: as a reflink where possible, else
    what is no hole.
    """
    import fcntl

    if size == 0:
        return
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:  # no reflinks here, or not between these two
        from kobako.linux.pouring import pour

        pour(source, target, size)


def change_mode(dir_fd: int | None, name: bytes | str, mode: int) -> None:
    """chmod of what is called `name` in a directory, itself: a symbolic link that somebody has put
    there meanwhile is not followed but an error (OSError)."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        os.chmod(f"/proc/self/fd/{fd}", mode)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes | memoryview) -> int:
    """Writes all of `data`, however many calls it takes; returns its length in bytes."""
    view = memoryview(data)
    done = 0
    while done < len(view):
        done += os.write(fd, view[done:])
    return done


def remove_tree(name: bytes | str, dir_fd: int | None = None) -> None:
    """Removes a file or a whole directory tree, whatever the modes in it; absent is fine.

    Depth is no limit: what lies too deep is first moved up. Symbolic links are not followed. What
    somebody still writes into the tree meanwhile goes as well, unless there is no end of it.
    """
    try:
        info = (
            os.lstat(name)
            if dir_fd is None
            else os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        )
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(info.st_mode):
        os.unlink(name, dir_fd=dir_fd)
        return
    for attempt in range(_ATTEMPTS):
        _empty_tree(name, dir_fd)
        try:
            os.rmdir(name, dir_fd=dir_fd)
            return
        except OSError as fault:
            if fault.errno != errno.ENOTEMPTY or attempt == _ATTEMPTS - 1:
                raise


def _empty_tree(name: bytes | str, dir_fd: int | None) -> None:
    top = _open_for_removal(os.fsencode(name), dir_fd)
    try:
        serial = 0
        while True:
            moved: list[bytes] = []
            _empty(top, top, 0, moved, serial)
            serial += len(moved)
            if not moved:
                break
    finally:
        os.close(top)


def _open_for_removal(name: bytes, dir_fd: int | None) -> int:
    """Opens a directory to be emptied, giving its owner the permissions first where they lack."""
    try:
        fd = os.open(name, DIRECTORY, dir_fd=dir_fd)
        if os.geteuid() and os.fstat(fd).st_mode & 0o700 != 0o700:
            os.fchmod(fd, 0o700)
        return fd
    except PermissionError:
        change_mode(dir_fd, name, 0o700)
        return os.open(name, DIRECTORY, dir_fd=dir_fd)


def _empty(fd: int, top: int, depth: int, moved: list[bytes], serial: int) -> None:
    with os.scandir(fd) as entries:
        names = [(os.fsencode(e.name), e.is_dir(follow_symlinks=False)) for e in entries]
    for name, is_directory in names:
        if not is_directory:
            os.unlink(name, dir_fd=fd)
            continue
        try:
            os.rmdir(name, dir_fd=fd)  # most of those that a container leaves are empty
            continue
        except OSError as fault:
            if fault.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        child = _open_for_removal(name, fd)
        try:
            if depth >= _DEEP:
                hidden = b".kobako-removed-%d-%d" % (serial + len(moved), os.fstat(child).st_ino)
                os.rename(name, hidden, src_dir_fd=fd, dst_dir_fd=top)
                moved.append(hidden)
                continue
            _empty(child, top, depth + 1, moved, serial)
        finally:
            os.close(child)
        os.rmdir(name, dir_fd=fd)
