"""Unpacked layers as directories `layers/<format>/<hex>`, and removing directory trees."""

from __future__ import annotations

import os

from kobako.errors import Invalid
from kobako.oci.digest import Digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_ALGORITHMS = {64: "sha256", 96: "sha384", 128: "sha512"}
_DEEPEST = 100


def walk_layers(root: str) -> Iterator[tuple[str, Digest | None]]:
    """Path and DiffID of everything in `layers/*/`; None for what is not a finished tree's name."""
    layers = os.path.join(root, "layers")
    for ownership in sorted(os.listdir(layers)):
        directory = os.path.join(layers, ownership)
        if not os.path.isdir(directory):
            continue
        for name in sorted(os.listdir(directory)):
            if os.path.lexists(os.path.join(directory, name)):
                yield os.path.join(directory, name), _diff_id(name)


def _diff_id(name: str) -> Digest | None:
    try:
        return Digest.parse(f"{_ALGORITHMS.get(len(name), '')}:{name}")
    except Invalid:
        return None


def remove_tree(path: str) -> int:
    """Remove a file or a whole directory; the bytes of disk it occupied (hard links counted once
    each). What is already gone is no error, so that two may do it at once.

    Directories without permissions are opened first, trees of any depth are removed, and no
    symbolic link is followed. Raises `OSError`.
    """
    parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _remove(parent, os.path.basename(path))
    finally:
        os.close(parent)


def _remove(parent: int, name: str) -> int:
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if (found.st_mode & 0o170000) != 0o040000:
            os.unlink(name, dir_fd=parent)
            return found.st_blocks * 512
        top = _open(parent, name)
    except FileNotFoundError:
        return 0
    freed = found.st_blocks * 512
    try:
        while True:  # what lies too deep is moved up to the top and comes in the next round
            more = _empty(top, top, _DEEPEST)
            if not more:
                break
            freed += more
    finally:
        os.close(top)
    try:
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        pass
    return freed


def _empty(directory: int, top: int, depth: int) -> int:
    freed = 0
    with os.scandir(directory) as entries:
        names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_dir in names:
        try:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if not is_dir:
                os.unlink(name, dir_fd=directory)
            elif depth == 0:
                os.rename(
                    name, os.urandom(12).hex() + ".deep", src_dir_fd=directory, dst_dir_fd=top
                )
                continue
            else:
                child = _open(directory, name)
                try:
                    freed += _empty(child, top, depth - 1)
                finally:
                    os.close(child)
                os.rmdir(name, dir_fd=directory)
        except FileNotFoundError:
            continue
        freed += found.st_blocks * 512 if is_dir or found.st_nlink == 1 else 0
    # A round that only moved things has still to be followed by another one.
    return freed or len(names)


def _open(parent: int, name: str) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, dir_fd=parent)
        mode = os.fstat(fd).st_mode
        if mode & 0o700 == 0o700:
            return fd
        os.close(fd)
    except PermissionError:
        pass
    os.chmod(name, 0o700, dir_fd=parent)
    return os.open(name, flags, dir_fd=parent)
