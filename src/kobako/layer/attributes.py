"""Owner, mode, xattrs and times of one inode, as each ownership format keeps them."""

from __future__ import annotations

import errno
import os

from kobako.layer.format import OwnershipFormat, opaque_xattr, overlay_prefix
from kobako.linux import fs
from kobako.linux.ownership import SHADOW_PREFIX, XATTR, XATTR_PREFIX, Own, Owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.layer.entry import Entry

_OURS = XATTR_PREFIX.encode()
UNPORTABLE = (
    b"security.selinux",
    b"security.ima",
    b"security.evm",
    b"security.SMACK64",
    b"system.nfs4_acl",
)
"""xattrs that speak of the machine, not of the image: neither packed nor unpacked."""
_REFUSED = (errno.EPERM, errno.EOPNOTSUPP, errno.EINVAL, errno.EACCES)


class Attributes:
    """Sets what entries say on files by descriptor or, for those without one, by name.

    An xattr the kernel refuses to a user (`security.capability` on some kernels, `trusted.*`) is
    kept as `user.kobako.xattr.<name>` in the mapped and emulated formats and comes back when the
    tree is packed. Attributes an archive has no say in (`user.kobako.*`) are dropped, and overlay's
    own are escaped as overlay itself does it, so that an image cannot steer the driver.
    """

    def __init__(self, form: str, owners: Owners | None) -> None:
        self._emulated = form == OwnershipFormat.EMULATED
        self._overlay = overlay_prefix(form).encode()
        self._opaque = opaque_xattr(form)
        self._shadow = form != OwnershipFormat.NATIVE
        self.devices = form == OwnershipFormat.NATIVE
        self._owners = Owners() if owners is None else owners

    def file(self, fd: int, member: Entry, kind: int = 0, rdev: int = 0) -> None:
        """A regular file; with `kind` (S_IFMT bits) and `rdev`, the placeholder of a device."""
        self._own(fd, member, kind, rdev)
        os.fchmod(fd, member.mode)
        if member.xattrs:
            self._set_xattrs(fd, member.xattrs, follow=True)
        os.utime(fd, ns=(member.mtime_ns, member.mtime_ns))

    def directory(self, fd: int, member: Entry) -> None:
        """A directory. Its time is set when everything in it is there."""
        self._own(fd, member, 0, 0)
        os.fchmod(fd, member.mode)
        if member.xattrs:
            self._set_xattrs(fd, member.xattrs, follow=True)

    def special(self, fd: int, name: bytes, real: bytes, member: Entry) -> None:
        """A symbolic link, FIFO or device `name` just made in the directory `fd`."""
        from kobako.layer.entry import SYMLINK

        if not self._emulated:
            os.chown(name, member.uid, member.gid, dir_fd=fd, follow_symlinks=False)
        elif member.uid or member.gid:
            self._owners[real] = (member.uid, member.gid)
        if member.type != SYMLINK:
            fs.change_mode(fd, name, member.mode)
        if member.xattrs:
            path = b"/proc/self/fd/%d/%b" % (fd, name)
            self._set_xattrs(path, member.xattrs, follow=False)
        os.utime(name, ns=(member.mtime_ns, member.mtime_ns), dir_fd=fd, follow_symlinks=False)

    def linked(self, source: bytes, name: bytes) -> None:
        """`name` became another name of `source`."""
        if source in self._owners:
            self._owners[name] = self._owners[source]

    def forget(self, real: bytes) -> None:
        """What was at this path, and below it, is gone."""
        if not self._owners:
            return
        self._owners.pop(real, None)
        below = real + b"/"
        for path in [p for p in self._owners if p.startswith(below)]:
            del self._owners[path]

    def set_opaque(self, fd: int) -> None:
        """Marks the directory so that overlay shows nothing of lower layers in it."""
        os.setxattr(fd, self._opaque, b"y")

    def _own(self, fd: int, member: Entry, kind: int, rdev: int) -> None:
        if not self._emulated:
            os.fchown(fd, member.uid, member.gid)
            if kind:
                os.setxattr(fd, XATTR, Own(member.uid, member.gid, kind, rdev).encode())
        elif kind or member.uid or member.gid:
            os.setxattr(fd, XATTR, Own(member.uid, member.gid, kind, rdev).encode())
        elif member.type == b"5":  # may have been another's before
            try:
                os.removexattr(fd, XATTR)
            except OSError as fault:
                if fault.errno != errno.ENODATA:
                    raise

    def _set_xattrs(self, where: int | bytes, xattrs: dict[bytes, bytes], follow: bool) -> None:
        for given, value in xattrs.items():
            if given.startswith(_OURS) or given in UNPORTABLE or b"\0" in given:
                continue
            key = given
            if key.startswith(self._overlay):
                key = self._overlay + b"overlay." + key[len(self._overlay) :]
            try:
                os.setxattr(where, key, value) if follow else os.setxattr(
                    where, key, value, follow_symlinks=False
                )
            except OSError as fault:
                if fault.errno not in _REFUSED:
                    raise
                self._set_shadow(where, given, value)

    def _set_shadow(self, where: int | bytes, key: bytes, value: bytes) -> None:
        if not self._shadow or isinstance(where, bytes):
            return  # a filesystem without this kind of xattr: docker goes on as well
        try:
            os.setxattr(where, SHADOW_PREFIX.encode() + key, value)
        except OSError as fault:
            if fault.errno not in _REFUSED:
                raise
