"""Writable layers that live for one operation: build steps, exports.

A scratch directory is locked (flock) by its owner for as long as it is used, so that gc can tell
what a killed process left behind.
"""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.engine.engine import Engine


class Scratch:
    """A writable layer over `lowers` (topmost first); a context manager that throws it away.

    `directory` is laid out as a container's. `mount` makes the merged tree visible at `tree`, in
    this process's own mount namespace.
    """

    def __init__(self, engine: Engine, lowers: Sequence[str], name: str = "") -> None:
        from kobako.engine.names import random_id

        self.engine = engine
        self.lowers = list(lowers)
        base = os.path.join(engine.settings.root, "scratch")
        os.makedirs(base, exist_ok=True)
        self.directory = os.path.join(base, name or random_id())
        os.mkdir(self.directory, 0o700)
        self.lock = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.mounted = False
        try:
            engine.driver.prepare(self.directory, self.lowers)
        except BaseException:
            self.remove()
            raise

    @property
    def tree(self) -> str:
        return os.path.join(self.directory, "rootfs")

    def mount(self, *, readonly: bool = False) -> str:
        """Make the merged tree visible; its path."""
        self.engine.own_mounts()
        mounts = self.engine.driver.mounts(
            self.directory, self.lowers, volatile=True, readonly=readonly
        )
        for mount in mounts:
            mount.apply()
        self.mounted = True
        return self.tree

    def unmount(self) -> None:
        """Take the merged tree away again; the writable layer stays."""
        if self.mounted:
            from kobako.linux import mount

            mount.unmount(self.tree)
            self.mounted = False

    def remove(self) -> None:
        """Unmount and delete."""
        if self.lock < 0:
            return
        try:
            if self.mounted:
                from kobako.linux import mount

                mount.unmount(self.tree, detach=True)
                self.mounted = False
            from kobako.snapshot.driver import remove_tree

            remove_tree(self.directory)
        finally:
            os.close(self.lock)
            self.lock = -1

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *fault: object) -> None:
        self.remove()


def leftovers(root: str) -> list[str]:
    """Scratch directories whose owner is gone."""
    base = os.path.join(root, "scratch")
    found = []
    for name in os.listdir(base) if os.path.isdir(base) else ():
        path = os.path.join(base, name)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            found.append(path)
        finally:
            os.close(fd)
    return found
