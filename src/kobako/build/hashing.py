"""Many files, or large ones, hashed by several threads."""

from __future__ import annotations

import os
from functools import partial

from kobako.build.files import hash_file, open_file
from kobako.build.together import run_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.context import Context
    from kobako.build.files import Entry

_CHUNK = 200
_LARGE = 1 << 20


def hash_all(files: Context, entries: list[Entry]) -> dict[str, str]:
    """path -> sha256 (hex) of each file. The first error is raised."""
    digests: dict[str, str] = {}
    directories: dict[str, list[Entry]] = {}
    large = []
    for entry in entries:
        if entry.stat.st_size > _LARGE:
            large.append([entry])
        else:
            directories.setdefault(entry.path.rpartition("/")[0], []).append(entry)
    chunks = [
        some[at : at + _CHUNK]
        for some in directories.values()
        for at in range(0, len(some), _CHUNK)
    ]
    large.sort(key=lambda one: -one[0].stat.st_size)
    run_all([partial(_hash, files, chunk, digests) for chunk in (*large, *chunks)])
    return digests


def _hash(files: Context, entries: list[Entry], digests: dict[str, str]) -> None:
    """The files of one directory."""
    fd = files.directory_fd(entries[0].path.rpartition("/")[0])
    try:
        for entry in entries:
            file = open_file(entry, fd)
            try:
                files.check_unchanged(file, entry)
            except BaseException:
                os.close(file)
                raise
            digests[entry.path] = hash_file(file, entry.stat.st_size)
    finally:
        os.close(fd)
