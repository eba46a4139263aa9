"""The digests of a tree's files."""

from __future__ import annotations

import hashlib
import os

from kobako.linux import fs
from kobako.oci.digest import Digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def file_digests(tree_fd: int) -> Iterator[tuple[bytes, Digest]]:
    """The path (relative) and the sha256 of each regular file, in the order of their paths'
    directories; links are not followed."""
    pending = [b""]
    while pending:
        path = pending.pop()
        fd = fs.open_directory(tree_fd, path)
        try:
            with os.scandir(fd) as found:
                entries = sorted(found, key=lambda entry: entry.name)
            for entry in entries:
                name = os.fsencode(entry.name)
                child = path + b"/" + name if path else name
                if entry.is_file(follow_symlinks=False):
                    with open(os.open(name, _READ, dir_fd=fd), "rb") as file:
                        hexed = hashlib.file_digest(file, "sha256").hexdigest()
                    yield child, Digest("sha256:" + hexed)
            directories = [e for e in entries if e.is_dir(follow_symlinks=False)]
            for entry in reversed(directories):
                name = os.fsencode(entry.name)
                pending.append(path + b"/" + name if path else name)
        finally:
            os.close(fd)
