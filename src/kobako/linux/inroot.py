"""Paths below a root directory nobody may lead us out of: openat2(2) with RESOLVE_IN_ROOT.

Symlinks, absolute ones too, are followed as a process chrooted there would follow them.
"""

from __future__ import annotations

import errno
import os

from kobako.errors import Unsupported
from kobako.linux import libc

NO_MAGICLINKS, NO_SYMLINKS, BENEATH, IN_ROOT = 0x02, 0x04, 0x08, 0x10
"""The RESOLVE_* bits of openat2(2)."""

_OPENAT2 = 437  # the same number on every architecture
_LINKS = 40  # the kernel's own limit of symlinks in a path
_TRIES = 64  # EAGAIN: something was renamed meanwhile


def open_in_root(
    root_fd: int, path: str | bytes, flags: int, mode: int = 0, *, symlinks: bool = True
) -> int:
    """open(2) of `path` with `root_fd` as the root; raises OSError. Without `symlinks` ELOOP where
    it leads through one (but not where that is the last and O_PATH | O_NOFOLLOW)."""
    resolve = IN_ROOT | NO_MAGICLINKS if symlinks else IN_ROOT | NO_SYMLINKS
    raw = os.fsencode(path)
    return _named(path, root_fd, raw.lstrip(b"/") or b".", flags, resolve, mode)


def open_beneath(directory_fd: int, path: str | bytes, flags: int) -> int:
    """open(2) of a relative `path`; EXDEV where it leads out of the directory, if only for a
    while."""
    return _named(path, directory_fd, os.fsencode(path), flags, BENEATH | NO_MAGICLINKS)


def _named(
    path: str | bytes, dir_fd: int, raw: bytes, flags: int, resolve: int, mode: int = 0
) -> int:
    """`openat2` of `raw`, whose error names `path`."""
    try:
        return openat2(dir_fd, raw, flags, resolve, mode)
    except OSError as fault:
        raise OSError(fault.errno, fault.strerror, path) from None


def openat2(dir_fd: int, path: bytes, flags: int, resolve: int, mode: int = 0) -> int:
    """openat2(2): opens `path` below `dir_fd` under `resolve`. OSError on failure; `Unsupported` on
    kernels before 5.6."""
    how = b"".join(v.to_bytes(8, "little") for v in (flags | os.O_CLOEXEC, mode, resolve))
    for last in range(_TRIES):
        try:
            return libc.syscall(_OPENAT2, dir_fd, path, how, len(how), what="openat2")
        except OSError as fault:
            number = fault.errno or 0
            if number == errno.ENOSYS:
                raise Unsupported("openat2 is missing", hint="Linux 5.6 or later has it") from None
            if number != errno.EAGAIN or last == _TRIES - 1:
                raise OSError(number, os.strerror(number), path) from None
    raise AssertionError("unreachable")


def make_directories(root_fd: int, path: str, mode: int = 0o755) -> int:
    """An O_PATH descriptor of the directory `path`; what is missing on the way is made.

    A dangling symlink on the way has its target made, inside the root as everything.
    """
    for _ in range(_LINKS):
        try:
            return open_in_root(root_fd, path, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            path = _make_missing(root_fd, path, mode)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _make_missing(root_fd: int, path: str, mode: int) -> str:
    """Makes what is missing up to the first dangling symlink; the path with that one replaced."""
    names = [n for n in path.split("/") if n not in ("", ".")]
    for i, name in enumerate(names):
        above, here = "/".join(names[:i]), "/".join(names[: i + 1])
        try:
            os.close(open_in_root(root_fd, here, os.O_PATH | os.O_DIRECTORY))
            continue
        except FileNotFoundError:
            if name == "..":
                raise
        parent = open_in_root(root_fd, above, os.O_PATH | os.O_DIRECTORY)
        try:
            os.mkdir(name, mode, dir_fd=parent)
        except FileExistsError:
            try:
                target = os.readlink(name, dir_fd=parent)
            except OSError:
                return path  # somebody else made it meanwhile
            base = "" if target.startswith("/") else above
            return "/".join((base, target, *names[i + 1 :]))
        finally:
            os.close(parent)
    return path


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
