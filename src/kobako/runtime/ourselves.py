"""Keeps an image from having the runtime's own program executed: CVE-2019-5736 and its kin.

A container's first process is this interpreter until its execve. An image that has `/proc/self/exe`
executed, by a link or a `#!` line, gets the host's interpreter with the image's libraries, and with
it a way to the host's file. Most kernels refuse to write to a program that runs; those from 6.11 to
6.12.1 do not.
"""

from __future__ import annotations

import os

_OURS = "/proc/self/exe"
_INTERPRETERS = 5  # as many as execve follows
_HEAD = 256


def leads_here(path: str) -> bool:
    """Whether executing `path` would execute our own program, seen through our process.

    The same file in a volume is somebody's wish, and another matter. Which mount it is comes first:
    a program is rarely on that of ours, and where root is emulated a `stat` is a round trip.
    """
    try:
        ours = _mount(_OURS)
    except OSError:
        return False  # there is no /proc to reach it through
    name: bytes | str = path
    for _ in range(_INTERPRETERS):
        try:
            if _mount(name) == ours and os.path.samestat(os.stat(name), os.stat(_OURS)):
                return True
            name = _interpreter(name)
        except OSError:
            return False  # execve says what is wrong with it
        if not name:
            return False
    return False


def _interpreter(path: bytes | str) -> bytes:
    """What a `#!` line names, b"" without one."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        head = os.read(fd, _HEAD)
    finally:
        os.close(fd)
    if not head.startswith(b"#!"):
        return b""
    words = head[2:].partition(b"\n")[0].split(None, 1)
    return words[0] if words else b""


def _mount(path: bytes | str) -> bytes:
    """The number of the mount a file is reached through: ours is none of the container's."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        info = os.open(f"/proc/self/fdinfo/{fd}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            fields = os.read(info, 4096)
        finally:
            os.close(info)
    finally:
        os.close(fd)
    return next((line for line in fields.splitlines() if line.startswith(b"mnt_id:")), b"")
