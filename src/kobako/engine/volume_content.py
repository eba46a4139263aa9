"""What an image has at a place becomes the first content of a new volume there.

As docker has it, unless the mount says nocopy.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.engine.engine import Engine

_LIMIT = 4096  # steps: a symlink may lead in circles


def fill(engine: Engine, trees: Sequence[str], target: str, directory: str) -> None:
    """Copies what `trees` (topmost first) show at `target` into the volume's `directory`, owners
    and all, unless there is something in it already."""
    if os.listdir(directory):
        return
    from kobako.snapshot.merge import copy_layers

    engine.enter()
    held = os.open(os.path.dirname(directory), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        import fcntl

        fcntl.flock(held, fcntl.LOCK_EX)
        if os.listdir(directory):
            return
        parts = places(trees, target, engine.mode.format)
        if parts:
            copy_layers(parts, directory, engine.mode.format)
    finally:
        os.close(held)


def places(trees: Sequence[str], target: str, form: str) -> list[str]:
    """The directories that make up `target`, topmost first; symlinks on the way are followed within
    the stack. Empty when there is no such directory."""
    names = _names(target)
    done: list[str] = []
    layers = list(trees)
    for _ in range(_LIMIT):
        if not names:
            return layers if done else []
        found = _below(layers, names[0], form)
        if isinstance(found, str):
            above = [] if found.startswith("/") else done
            names, done, layers = _names("/".join([*above, found, *names[1:]])), [], list(trees)
        elif found:
            layers = found
            done.append(names.pop(0))
        else:
            return []
    return []


def _names(path: str) -> list[str]:
    return [n for n in os.path.normpath(f"/{path}").split("/") if n]


def _below(layers: Sequence[str], name: str, form: str) -> list[str] | str:
    """The directories called `name`, as they are stacked; of a symlink its text."""
    from kobako.layer.format import opaque_xattr

    kept: list[str] = []
    for layer in layers:
        path = f"{layer}/{name}"
        try:
            info = os.lstat(path)
        except OSError:
            continue
        if stat.S_ISLNK(info.st_mode) and not kept:
            return os.readlink(path)
        if not stat.S_ISDIR(info.st_mode):
            break  # a whiteout, or something else that hides what is below
        kept.append(path)
        if _has(path, opaque_xattr(form)):
            break
    return kept


def _has(path: str, name: str) -> bool:
    try:
        return os.getxattr(path, name, follow_symlinks=False) == b"y"
    except OSError:
        return False
