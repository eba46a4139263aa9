"""Paths inside a root that is not ours: symlinks lead where they lead for a process in it."""

from __future__ import annotations

import os
import stat

from kobako.errors import Invalid

_MAX_LINKS = 255


def resolve(root: str, path: str) -> str:
    """The place below the directory `root` that `path` means once `root` is `/`, as a host path.

    Every symlink is followed, the last one too; `..` stops at the root; what does not exist is
    taken literally. The result has no symlink in it as long as nobody else changes the tree.
    """
    waiting = [p for p in path.split("/") if p not in ("", ".")][::-1]
    at: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            del at[-1:]
            continue
        here = os.path.join(root, *at, part)
        try:
            target = os.readlink(here)
        except OSError:  # not a link, or not there
            at.append(part)
            continue
        links += 1
        if links > _MAX_LINKS:
            raise Invalid(f"{path}: too many levels of symbolic links in the image")
        if target.startswith("/"):
            at = []
        waiting += [p for p in target.split("/") if p not in ("", ".")][::-1]
    return os.path.join(root, *at) if at else root


def parts_by_letter(path: str) -> list[str]:
    """The parts of a path below a root; `..` is taken by the letter, whatever a link would make of
    it, and goes no further up than the root."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return parts


def first_name(path: str) -> str:
    """The name in the root that leads to an absolute path; "" where that takes a look."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return parts[0] if parts and ".." not in parts else ""


def is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False
