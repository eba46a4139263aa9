"""The part of a container's file system that is the same around every root.

It is mounted by the container's first process while the root is still being found out.
"""

from __future__ import annotations

import os

from kobako.errors import KobakoError
from kobako.linux import inroot
from kobako.linux.mount import move, set_propagation
from kobako.runtime.rootfs import (
    denies_devices,
    failure,
    furnish,
    is_around,
    require_place,
    restrict,
    set_sysctls,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Stage:
    """/proc, /dev and /sys, mounted before there is a root.

    `path` is a directory with places for the three; `around` as of `surroundings.document`. What is
    mounted there is seen in this mount namespace only, and moved into the root as it is.
    """

    def __init__(self, path: str, around: dict[str, Any]) -> None:
        self.path = path
        self.around = around
        self._trees: dict[str, int] = {}  # of the root's directories, O_PATH

    @property
    def namespaces(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.around["linux"]["namespaces"]
        return found

    def set(self) -> None:
        """Mounts, devices, sysctls, hidden and read-only paths. Where that fails there is no stage:
        what is wrong is said when the same is done in the root."""
        trees = {}
        try:
            set_propagation("/", "rslave")
            at = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            furnish("", at, self.around, self.around["mounts"])
            set_sysctls(at, self.around["linux"])
            restrict(at, self.around["linux"])
            for name in ("proc", "dev", "sys"):
                trees[name] = os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            self._trees = trees
        except (OSError, KobakoError):
            pass

    def move(self, root_fd: int, spec: dict[str, Any]) -> list[dict[str, Any]] | None:
        """Puts what was mounted in its place; the mounts of the spec that are left. None, and
        nothing done, where the spec asks for something else."""
        mounts = spec.get("mounts") or []
        linux = spec.get("linux", {})
        around = self.around["linux"]
        left = [m for m in mounts if m not in self.around["mounts"]]
        same = (
            self._trees
            and len(left) + len(self.around["mounts"]) == len(mounts)
            and not any(is_around(m["destination"]) for m in left)
            and linux.get("sysctl") == around.get("sysctl")
            and not linux.get("devices")
            and denies_devices(spec) == denies_devices(self.around)
            and linux.get("maskedPaths") == around["maskedPaths"]
            and linux.get("readonlyPaths") == around["readonlyPaths"]
        )
        if not same:
            return None
        for name, tree in self._trees.items():
            at = inroot.make_directories(root_fd, name)
            try:
                require_place(at, "/" + name)
                move(tree, at, "/" + name)
            except OSError as fault:
                raise failure(name, "/" + name, fault) from None
            finally:
                os.close(at)
                os.close(tree)
        return left
