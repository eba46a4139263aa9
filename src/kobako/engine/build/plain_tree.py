"""A directory tree that is no layer, with owners as the mode keeps them."""

from __future__ import annotations

import os
import stat

from kobako.linux.ownership import XATTR, Own, device_of, make_placeholder


class PlainTree:
    """A `build.worker.Tree` of the directory `path`, its ownership in the format `form`.

    With emulated ownership links and special files belong to root: there is no table beside it.
    """

    def __init__(self, path: str, form: str) -> None:
        self.path = path
        self._emulated = form == "emulated"
        self._native = form == "native"

    def owner(self, path: str) -> tuple[int, int]:
        full = os.path.join(self.path, path)
        if not self._emulated:
            info = os.lstat(full)
            return info.st_uid, info.st_gid
        try:
            own = Own.decode(os.getxattr(full, XATTR, follow_symlinks=False))
        except OSError:
            return 0, 0
        return own.uid, own.gid

    def stands_for(self, path: str) -> tuple[int, int] | None:
        return None if self._native else device_of(os.path.join(self.path, path))

    def make_device(self, path: str, kind: int, rdev: int) -> None:
        full = os.path.join(self.path, path)
        if self._native:
            os.mknod(full, kind | 0o600, rdev)
        else:
            make_placeholder(full, kind, rdev)

    def own(self, path: str, uid: int, gid: int) -> None:
        full = os.path.join(self.path, path)
        if not self._emulated:
            os.chown(full, uid, gid, follow_symlinks=False)
        elif stat.S_IFMT(os.lstat(full).st_mode) in (stat.S_IFREG, stat.S_IFDIR):
            if (uid, gid) != (0, 0):
                os.setxattr(full, XATTR, Own(uid, gid).encode())
            elif XATTR in os.listxattr(full):
                os.removexattr(full, XATTR)
