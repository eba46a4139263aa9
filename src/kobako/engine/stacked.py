"""A path in a stack of trees that is not mounted: which of their files overlay would show there."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_LINKS = 40
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


def locate(trees: Sequence[str], path: str) -> str | None:
    """The file at `path` in the root that `trees` make, topmost first, with all symbolic links
    resolved as if that were `/`. None: there is nothing, or too many links."""
    waiting = _parts(path)[::-1]
    at: list[list[str]] = [list(trees)]  # the directories that make up each one on the way
    links = 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            at = at[:-1] if len(at) > 1 else at
            continue
        found = _step(at[-1], part)
        if not found:
            return None
        if os.path.islink(found[0]):
            links += 1
            if links > _MOST_LINKS:
                return None
            target = os.readlink(found[0])
            if target.startswith("/"):
                del at[1:]
            waiting += _parts(target)[::-1]
        else:
            at.append(found)
    return at[-1][0]


def _step(directories: list[str], name: str) -> list[str]:
    """What `name` is in merged directories: the directories that make it up, or one other file."""
    found: list[str] = []
    for directory in directories:
        full = os.path.join(directory, name)
        try:
            status = os.lstat(full)
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            break
        if not stat.S_ISDIR(status.st_mode):
            whiteout = stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
            return found if found or whiteout else [full]
        found.append(full)
        if _is_opaque(full):
            break
    return found


def _is_opaque(directory: str) -> bool:
    for name in _OPAQUE:
        try:
            if os.getxattr(directory, name) == b"y":
                return True
        except OSError:
            continue
    return False


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
