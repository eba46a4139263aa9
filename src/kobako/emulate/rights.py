"""What the kernel would let an emulated user do to a file: path_resolution(7), inode(7), and
`inode_permission`, `may_delete`, `may_linkat` in the kernel's fs/namei.c.

All files of a container belong to one real user, whose root its processes are, so the kernel
itself refuses them nothing. Here the recorded owner and the real mode decide, of every directory
on the way and of the file. It is fidelity, not security: the answer may be stale when the kernel
acts. To refuse wrongly is worse than to allow wrongly, so what cannot be judged is let pass: mounts
of which the owners are not known (procfs, devices, directories of the host), inodes of users who
do not exist in the namespace (of those the kernel is the judge), files with an ACL.
"""

from __future__ import annotations

import errno
import os

from kobako.emulate.credentials import CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
from kobako.emulate.inodes import S_IFDIR, S_IFMT, S_IFREG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kobako.emulate.credentials import Credentials
    from kobako.emulate.inodes import Glance, Inodes

READ, WRITE, SEARCH = 4, 2, 1
EXECUTE = SEARCH

_S_IFLNK = 0o120000
_S_ISUID, _S_ISGID, _S_ISVTX, _S_IXGRP = 0o4000, 0o2000, 0o1000, 0o0010
_LINKS_MAX, _DEPTH_MAX = 40, 1000
_ACL = "system.posix_acl_access"


class Refused(Exception):
    """The kernel would refuse the call with the error `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Unjudged(Exception):
    """The kernel is to say what becomes of the call."""


class Found:
    """Where a path leads, without symbolic links: `path` in the directory `above`, both as our own.

    `glance` is what is there, None when nothing is. `above` is empty when the path ends in `.`,
    `..` or `/`, which names no entry of a directory."""

    __slots__ = ("above", "glance", "path")

    def __init__(self, above: bytes, path: bytes, glance: Glance | None) -> None:
        self.above = above
        self.path = path
        self.glance = glance

    @property
    def is_directory(self) -> bool:
        return self.glance is not None and self.glance[0] & S_IFMT == S_IFDIR


class Rights:
    """The judge. Every method raises `Refused` or returns; `Unjudged` or an `OSError` says that it
    cannot tell. Paths are ours (`Paths.enter`)."""

    def __init__(self, inodes: Inodes, places: Iterable[str], guards_links: bool) -> None:
        """places: what is mounted there is judged besides the root mount. guards_links: whether
        this machine has fs.protected_hardlinks."""
        self._inodes = inodes
        self._guards_links = guards_links
        mounts = {inodes.root_mount}
        for place in places:
            try:
                mounts.add(inodes.stat(os.fsencode(place), True).mount)
            except OSError:
                continue
        self._mounts = frozenset(mounts - {0})  # before Linux 5.8 all are 0

    def find(self, who: Credentials, place: bytes, follow: bool) -> Found:
        """Goes the way the kernel would go; EACCES where a directory may not be searched."""
        if place[-1:] != b"/":
            return self._find(who, place, follow)
        found = self._find(who, place, True)
        if not found.is_directory:
            raise Unjudged  # EISDIR, ENOTDIR, ENOENT
        return found

    def find_entry(self, who: Credentials, place: bytes) -> Found:
        """The same for calls that make, remove or rename what `place` itself names."""
        return self._find(who, place, False)

    def _find(self, who: Credentials, place: bytes, follow: bool) -> Found:
        glance = self._inodes.glance
        prefix, here = (b"/", b"/") if place[:1] == b"/" else (b"", b".")
        seen = glance(here, True)
        self._search(who, here, seen)
        names = [name for name in reversed(place.split(b"/")) if name]
        above, links = b"", 0
        directory = False
        while names:
            name = names.pop()
            if name == b".":
                above, seen = b"", glance(here, True)
                continue
            path = prefix + name
            seen = glance(path, False)
            if seen is None:
                if names:
                    raise Unjudged
                return Found(here, path, None)
            if seen[2] not in self._mounts:
                raise Unjudged
            if seen[0] & S_IFMT == _S_IFLNK and (names or follow):
                links += 1
                if links > _LINKS_MAX:
                    raise Unjudged
                target = os.readlink(path)
                if target[-1:] == b"/" and not names:
                    directory = True
                names += [name for name in reversed(target.split(b"/")) if name]
                if target[:1] == b"/":
                    prefix, here = b"/", b"/"
                    seen = glance(here, True)
                    self._search(who, here, seen)
                above = b""
                continue
            above = here if name != b".." else b""
            if not names:
                break
            self._search(who, path, seen)
            prefix, here = path + b"/", path
        else:
            path = here
        if directory and seen is not None and seen[0] & S_IFMT != S_IFDIR:
            raise Unjudged  # ENOTDIR
        return Found(above, path, seen)

    def _search(self, who: Credentials, path: bytes, seen: Glance | None) -> None:
        if seen is None or seen[2] not in self._mounts or seen[0] & S_IFMT != S_IFDIR:
            raise Unjudged
        if seen[0] & 0o111 != 0o111 and not self._may(who, path, seen, SEARCH):
            raise Refused(errno.EACCES)

    def descriptor(self, place: bytes) -> Found:
        """What a descriptor, at `place` in /proc, is open on."""
        seen = self._inodes.glance(place, True)
        if seen is None or seen[2] not in self._mounts:
            raise Unjudged
        return Found(b"", place, seen)

    def require(self, who: Credentials, found: Found, want: int) -> None:
        """EACCES unless `who` may do all that `want` names to what was found."""
        if found.glance is None:
            raise Unjudged
        if not self._may(who, found.path, found.glance, want):
            raise Refused(errno.EACCES)

    def require_entry(self, who: Credentials, found: Found) -> None:
        """EACCES unless `who` may make or remove entries where `found` is; it may be missing."""
        if not found.above:
            raise Unjudged
        seen = self._inodes.glance(found.above, True)
        if seen is None:
            raise Unjudged
        if not self._may(who, found.above, seen, WRITE | SEARCH):
            raise self._refusal(found.above, errno.EACCES)

    def require_removal(self, who: Credentials, found: Found) -> None:
        """As `require_entry`, and EPERM for what is another's in a sticky directory."""
        if found.glance is None:
            raise Unjudged
        self.require_entry(who, found)
        seen = self._inodes.glance(found.above, True)
        if seen is None or not seen[0] & _S_ISVTX or seen[1]:
            return
        if not (self.owns(who, found) or who.fsuid == self._owner(found.above, seen)[0]):
            raise self._refusal(found.above, errno.EPERM)

    def require_owner(self, who: Credentials, found: Found) -> None:
        if not self.owns(who, found):
            raise self._refusal(found.path, errno.EPERM)

    def require_attribute(self, who: Credentials, found: Found, want: int) -> None:
        """xattr(7): EACCES or EPERM unless `who` may read or write a `user.` attribute."""
        if found.glance is None or found.glance[0] & S_IFMT not in (S_IFREG, S_IFDIR):
            raise Unjudged  # EPERM, ENODATA
        if want == WRITE and found.is_directory and found.glance[0] & _S_ISVTX:
            self.require_owner(who, found)
        self.require(who, found, want)

    def owns(self, who: Credentials, found: Found) -> bool:
        """Whether `who` may do what an owner may."""
        if found.glance is None or found.glance[1]:
            raise Unjudged
        if (who.effective or 0) & CAP_FOWNER:
            return True
        return self._owner(found.path, found.glance)[0] == who.fsuid

    def require_link(self, who: Credentials, found: Found) -> None:
        """fs.protected_hardlinks: EPERM for a link to what is another's, unless it is harmless."""
        if not self._guards_links or self.owns(who, found) or found.glance is None:
            return
        mode = found.glance[0]
        special = mode & S_IFMT != S_IFREG or mode & _S_ISUID
        if special or mode & (_S_ISGID | _S_IXGRP) == _S_ISGID | _S_IXGRP:
            raise Refused(errno.EPERM)
        if not self._may(who, found.path, found.glance, READ | WRITE):
            raise Refused(errno.EPERM)

    def identity(self, path: bytes) -> tuple[int, int]:
        """What tells the file at `path`, no link, from all others: (device, inode)."""
        inode = self._inodes.stat(path, False)
        return inode.device, inode.ino

    def lineage(self, directory: bytes) -> list[tuple[int, int]]:
        """The directory and those above it, to the root, each by its `identity`."""
        found = [self.identity(directory)]
        for _ in range(_DEPTH_MAX):
            directory += b"/.."
            above = self.identity(directory)
            if above == found[-1]:
                break
            found.append(above)
        return found

    def _may(self, who: Credentials, path: bytes, seen: Glance, want: int) -> bool:
        mode, uid, _ = seen
        if uid:
            return True
        directory = mode & S_IFMT == S_IFDIR
        held = who.effective or 0
        if held & CAP_DAC_OVERRIDE:
            return directory or not want & EXECUTE or bool(mode & 0o111)
        if held & CAP_DAC_READ_SEARCH and (want == READ or (directory and not want & WRITE)):
            return True
        owner, group = self._owner(path, seen)
        if who.fsuid == owner:
            mode >>= 6
        elif who.in_group(group):
            mode >>= 3
        return not want & ~mode or self._has_acl(path)

    def _refusal(self, path: bytes, number: int) -> Exception:
        """Of calls that change something: before the kernel looks at rights it says EROFS."""
        read_only = os.statvfs(path).f_flag & os.ST_RDONLY
        return Unjudged() if read_only else Refused(number)

    def _owner(self, path: bytes, seen: Glance) -> tuple[int, int]:
        # Only a path of ours that names a descriptor ends in a link by now, and that is followed.
        own = self._inodes.recorded(path, seen[0] & S_IFMT != _S_IFLNK)
        return (0, 0) if own is None else (own.uid, own.gid)

    def _has_acl(self, path: bytes) -> bool:
        try:
            return bool(os.getxattr(path, _ACL))
        except OSError:
            return False
