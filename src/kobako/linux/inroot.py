"""Paths below a root directory nobody may lead us out of: openat2(2) with RESOLVE_IN_ROOT.

Symlinks, absolute ones too, are followed as a process chrooted there would follow them.
"""

from __future__ import annotations

import os

from kobako.linux import libc

_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10
_TRIES = 64  # EAGAIN: something was renamed meanwhile


def open_in_root(root_fd: int, path: str, flags: int, mode: int = 0) -> int:
    """open(2) of `path` with `root_fd` as the root; raises OSError."""
    how = b"".join(
        v.to_bytes(8, "little")
        for v in (flags | os.O_CLOEXEC, mode, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    )
    raw = os.fsencode(path.lstrip("/") or ".")
    for last in range(_TRIES):
        try:
            return libc.syscall(_OPENAT2, root_fd, raw, how, len(how), what="open")
        except BlockingIOError:
            if last == _TRIES - 1:
                raise
        except OSError as fault:
            raise OSError(fault.errno, os.strerror(fault.errno or 0), path) from None
    raise AssertionError


def make_directories(root_fd: int, path: str, mode: int = 0o755) -> int:
    """An O_PATH descriptor of the directory `path`; what is missing on the way is made.

    A dangling symlink on the way is an error (FileExistsError), as with mkdir -p.
    """
    try:
        return open_in_root(root_fd, path, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        pass
    done = ""
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root_fd)
    for name in path.split("/"):
        if name in ("", "."):
            continue
        done += "/" + name
        try:
            below = open_in_root(root_fd, done, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            if name == "..":
                raise
            try:
                os.mkdir(name, mode, dir_fd=here)
                below = open_in_root(root_fd, done, os.O_PATH | os.O_DIRECTORY)
            finally:
                os.close(here)
        else:
            os.close(here)
        here = below
    return here


def make_file(root_fd: int, path: str, mode: int = 0o644) -> int:
    """An O_PATH descriptor of the non-directory `path`; an empty file is made where none is."""
    try:
        return open_in_root(root_fd, path, os.O_PATH)
    except FileNotFoundError:
        pass
    parent, _, name = path.rstrip("/").rpartition("/")
    directory = make_directories(root_fd, parent)
    try:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(name, flags, mode, dir_fd=directory))
    finally:
        os.close(directory)
    return open_in_root(root_fd, path, os.O_PATH)
