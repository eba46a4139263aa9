"""Writable layers that live for one operation: build steps, exports.

A scratch directory is locked (flock) by its owner for as long as it is used, so that gc can tell
what a killed process left behind.
"""

from __future__ import annotations

import os

from kobako.errors import NotFound
from kobako.linux import claim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.engine.engine import Engine

KEPT = "kept"
"""A file in a directory that was let go of for somebody to take up again."""


class Scratch:
    """A writable layer over `lowers` (topmost first); a context manager that makes it and throws
    it away, whatever signal comes in between.

    `directory` is laid out as a container's. `mount` makes the merged tree visible at `tree`, in
    this process's own mount namespace.
    """

    def __init__(
        self,
        engine: Engine,
        lowers: Sequence[str],
        name: str = "",
        *,
        left: bool = False,
        many: bool = False,
        merged: bool = True,
    ) -> None:
        """`left`: the one of that name that was left by another process. `many`: many files are
        going to be made in it. Without `merged` it is never mounted."""
        from kobako.engine.names import random_id

        self.engine = engine
        self.lowers = list(lowers)
        self.directory = os.path.join(place(engine.settings.root), name or random_id())
        self.lock = -1
        self.mounted = False
        self._left = left
        self._merged = merged
        self._many = many and engine.driver.adoptable

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

    def leave(self) -> str:
        """Let go of it without throwing it away; its directory. A collection takes what nobody
        takes up again."""
        os.close(os.open(os.path.join(self.directory, KEPT), os.O_CREAT | os.O_WRONLY, 0o600))
        os.close(self.lock)
        self.lock = -1
        return self.directory

    def _take_up(self) -> None:
        """Lock what was left, and clear all away but the writable layer."""
        lock = claim.take(self.directory, wait=True)
        if lock is None:
            raise NotFound(f"{self.directory} is gone: it was collected")
        self.lock = lock
        from kobako.snapshot.driver import remove_tree

        for name in os.listdir(self.directory):
            if name not in ("upper", "rootfs", "owners"):
                remove_tree(os.path.join(self.directory, name))

    def remove(self) -> None:
        """Unmount and delete."""
        if self.lock < 0:
            return
        from kobako.linux import fork

        with fork.Undisturbed():
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
        from kobako.linux import fork

        try:
            with fork.Undisturbed():
                if self._left:
                    self._take_up()
                else:
                    self.lock = claim.make(self.directory)
                if self._many:
                    from kobako.linux import placement

                    placement.make_apart(os.path.join(self.directory, "upper"))
                self.engine.driver.prepare(self.directory, self.lowers, merged=self._merged)
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *fault: object) -> None:
        self.remove()


def place(root: str) -> str:
    """Where a data root has its scratch directories."""
    return os.path.join(root, "scratch")
