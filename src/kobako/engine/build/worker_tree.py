"""Merged trees for the steps of a build, to read or to change (`build.worker.ChangedTree`)."""

from __future__ import annotations

import errno
import os
import stat

from kobako import groups
from kobako.engine.scratch import Scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from kobako.build.worker import LayerRef
    from kobako.engine.build.worker import EngineWorker
    from kobako.layer.pack import Graft
    from kobako.linux.ownership import Owners


class WorkerTree:
    """A merged tree made visible (`build.worker.ChangedTree`)."""

    def __init__(
        self,
        worker: EngineWorker,
        layers: tuple[LayerRef, ...],
        *,
        writable: bool,
        epoch: int | None = None,
        within: str = "",
        many: bool = True,
    ) -> None:
        self.worker = worker
        self.many = many
        self.layers = layers
        self.within = within
        self.writable = writable
        self.epoch = epoch
        self.path = ""
        self.layer: LayerRef | None = None
        self._graft: Graft | None = None
        self.emulated = worker.engine.mode.format == "emulated"
        self._owners: Owners | None = None

    def __enter__(self) -> Self:
        if self.writable:
            groups.load("build-layer")
        lowers = self.worker.lowers(self.layers)
        apart = self._is_apart(lowers)
        self.scratch = Scratch(
            self.worker.engine, lowers, many=self.writable and self.many, merged=not apart
        ).__enter__()
        try:
            if apart:
                self.path = os.path.join(self.scratch.directory, "upper")
            else:
                self.path = self.scratch.mount(readonly=not self.writable)
        except BaseException:
            self.scratch.remove()
            raise
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if self.writable and kind is None:
                self.scratch.unmount()
                if self._owners is not None:
                    self._owners.save(os.path.join(self.scratch.directory, "owners"))
                self.layer = self.worker.keep(self.scratch, self.epoch, graft=self._graft)
        finally:
            self.scratch.remove()

    def _is_apart(self, lowers: list[str]) -> bool:
        """Whether no layer has anything where this change is made: then there is nothing to merge
        it with, and it is made in the writable layer itself."""
        if not self.within or not self.worker.engine.driver.adoptable:
            return False
        return not any(os.path.lexists(os.path.join(tree, self.within)) for tree in lowers)

    def graft(self, graft: Graft) -> bool:
        if self.worker.engine.driver.adoptable:
            self._graft = graft
        return self._graft is graft

    def owner(self, path: str) -> tuple[int, int]:
        full = os.path.join(self.path, path)
        status = os.lstat(full)
        if not self.emulated:
            return status.st_uid, status.st_gid
        from kobako.linux.ownership import XATTR, Own

        try:
            own = Own.decode(os.getxattr(full, XATTR, follow_symlinks=False))
        except OSError:
            return self._table().get(os.fsencode(path), (0, 0))
        return own.uid, own.gid

    def own(self, path: str, uid: int, gid: int) -> None:
        full = os.path.join(self.path, path)
        if not self.emulated:
            os.chown(full, uid, gid, follow_symlinks=False)
            return
        from kobako.linux.ownership import XATTR, Own

        kind = stat.S_IFMT(os.lstat(full).st_mode)
        if kind in (stat.S_IFREG, stat.S_IFDIR):
            was = Own(0, 0)
            if XATTR in os.listxattr(full):
                was = Own.decode(os.getxattr(full, XATTR))
            if (uid, gid) != (0, 0) or was.type:  # a device's placeholder keeps what it stands for
                os.setxattr(full, XATTR, was.replace(uid=uid, gid=gid).encode())
            elif was != Own(0, 0):
                os.removexattr(full, XATTR)
        else:
            self._table()[os.fsencode(path)] = (uid, gid)

    def stands_for(self, path: str) -> tuple[int, int] | None:
        if self.worker.engine.mode.format == "native":
            return None
        from kobako.linux.ownership import device_of

        return device_of(os.path.join(self.path, path))

    def make_device(self, path: str, kind: int, rdev: int) -> None:
        full = os.path.join(self.path, path)
        if self.worker.engine.mode.format == "native":
            if stat.S_ISCHR(kind) and not rdev:  # as overlay has it: it would mean a deletion
                raise OSError(errno.EPERM, os.strerror(errno.EPERM), full)
            os.mknod(full, kind | 0o600, rdev)
        else:
            from kobako.linux.ownership import make_placeholder

            make_placeholder(full, kind, rdev)

    def _table(self) -> Owners:
        """The owners of what cannot carry them itself, of all layers of the stack."""
        if self._owners is None:
            driver = self.worker.engine.driver
            self._owners = driver.owners(self.scratch.directory, self.scratch.lowers)
        return self._owners
