"""The user's side of `cp`: paths as docker's client takes them. Local paths come in absolute."""

from __future__ import annotations

import os
import stat

from kobako.engine import copy_paths
from kobako.engine.copy_paths import Source
from kobako.errors import Denied, Invalid, KobakoError, NotFound
from kobako.record import Record

_LINKS = 10  # as docker


class Place(Record):
    """Where a copy is to go: `path` is no symlink any more."""

    path: str
    exists: bool
    is_directory: bool


class Found(Record):
    """What is to be copied: an open directory with name b"", or a `name` in one; `place` is that
    directory for messages."""

    fd: int
    name: bytes
    place: str
    source: Source


def check_output(path: str) -> None:
    """`Invalid` in docker's words when nothing can be written to `path`."""
    directory = os.path.dirname(path.rstrip("/") or "/")
    if not os.path.exists(directory):
        raise Invalid(f'invalid output path: directory "{directory}" does not exist')
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as fault:
        raise _explained(fault, "stat", path) from None
    if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
        raise Invalid(
            f'invalid output path: "{path}" must be a directory or a regular file: got a device'
        )


def destination(path: str) -> Place:
    """A destination, symlinks that are its last component followed."""
    given = path
    for _ in range(_LINKS):
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            return Place(path, exists=False, is_directory=False)
        except OSError as fault:
            raise _explained(fault, "lstat", path) from None
        if not stat.S_ISLNK(mode):
            return Place(path, exists=True, is_directory=stat.S_ISDIR(mode))
        target = os.readlink(path)
        path = os.path.normpath(os.path.join(os.path.dirname(path), target))
    raise Invalid(f"too many symlinks in {given}")


def open_directory(path: str) -> int:
    """A descriptor of a directory to write in."""
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as fault:
        raise _explained(fault, "open", path) from None


def find(path: str, *, follow: bool) -> Found:
    """What is at `path`: a symlink stands for what it leads to with `follow`, or with a slash
    behind it. `NotFound`, `Denied` or `Invalid` say what is wrong."""
    name = copy_paths.base(path)
    try:
        if follow:
            real = os.path.realpath(path, strict=True)
            if path.endswith("/") and not os.path.isdir(real):
                raise NotADirectoryError(20, "", path)
        else:
            directory, _, last = path.rpartition("/")
            above = os.path.realpath(directory or "/", strict=True)
            if last in ("", ".") and not os.path.isdir(above):
                raise NotADirectoryError(20, "", path)
            real = above if last in ("", ".") else os.path.join(above, last)
        is_directory = stat.S_ISDIR(os.lstat(real).st_mode)
        source = Source(is_directory, name)
        if is_directory:
            fd = os.open(real, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            return Found(fd, b"", real, source)
        above, _, last = real.rpartition("/")
        fd = os.open(above or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return Found(fd, os.fsencode(last), above, source)
    except OSError as fault:
        raise _explained(fault, "lstat", fault.filename or path) from None


def _explained(fault: OSError, call: str, path: str) -> KobakoError:
    message = f"{call} {os.fsdecode(path)}: {os.strerror(fault.errno or 0).lower()}"
    if isinstance(fault, FileNotFoundError):
        return NotFound(message)
    return (Denied if isinstance(fault, PermissionError) else Invalid)(message)
