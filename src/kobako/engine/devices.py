"""--device: devices of the host inside a container, bound as they are.

No mode makes device nodes of its own for this: what the host's permissions, and in modes B and C
the user's, allow is what the container may do with it.
"""

from __future__ import annotations

import os
import stat

from kobako.errors import Invalid, NotFound, Unsupported
from kobako.runtime.spec import BindMount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CONTROLLED = "rwm"


def binds(words: tuple[str, ...]) -> list[BindMount]:
    """The devices of HOST[:CONTAINER[:rwm]] words; of a directory those in it, as docker has it.

    `NotFound`, `Invalid`; `Unsupported` for less than reading and writing, which only a device
    cgroup could hold to.
    """
    found: list[BindMount] = []
    for word in words:
        source, target = _parse(word)
        try:
            mode = os.stat(source).st_mode
        except OSError as fault:
            why = os.strerror(fault.errno or 0).lower()
            raise NotFound(
                f'error gathering device information while adding custom device "{source}": {why}'
            ) from None
        if stat.S_ISDIR(mode):
            inside = [os.path.join(at, n) for at, _, names in os.walk(source) for n in names]
            devices = sorted(path for path in inside if _is_device(path))
            found += [BindMount(path, target + path[len(source) :]) for path in devices]
        elif _is_device(source):
            found.append(BindMount(os.path.realpath(source), target))
        else:
            raise Invalid(
                f'error gathering device information while adding custom device "{source}": '
                "not a device node"
            )
    return found


def listed(words: tuple[str, ...]) -> list[dict[str, str]]:
    """docker's Devices, as `inspect` shows them."""
    return [
        {"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": _CONTROLLED}
        for source, target in map(_parse, words)
    ]


def rules(bound: list[BindMount]) -> tuple[dict[str, Any], ...]:
    """`linux.resources.devices` that lets them be opened, for runtimes with a device cgroup."""
    found = []
    for bind in bound:
        info = os.stat(bind.source)
        major, minor = os.major(info.st_rdev), os.minor(info.st_rdev)
        kind = "b" if stat.S_ISBLK(info.st_mode) else "c"
        rule = {"allow": True, "type": kind, "major": major, "minor": minor}
        found.append({**rule, "access": _CONTROLLED})
    return tuple(found)


def _parse(word: str) -> tuple[str, str]:
    parts = word.split(":")
    access = _CONTROLLED
    if len(parts) == 3 or (len(parts) == 2 and not parts[1].startswith("/")):
        access = parts.pop()
    if len(parts) not in (1, 2) or not parts[0].startswith("/"):
        raise Invalid(f"invalid device specification: {word}")
    if not access or set(access) - set(_CONTROLLED) or len(set(access)) < len(access):
        raise Invalid(f"invalid device mode: {access}")
    if not {"r", "w"} <= set(access):
        raise Unsupported(
            f"--device {word}: access to a device cannot be limited to {access!r}",
            hint="Ask for rw or rwm.",
        )
    target = parts[-1]
    if not target.startswith("/") or os.path.normpath(target) == "/":
        raise Invalid(f"invalid device specification: {word}")
    return os.path.normpath(parts[0]), os.path.normpath(target)


def _is_device(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
