"""Unpacks a tar as mode C keeps it: `python unpack.py TAR DIR` makes DIR/tree and DIR/owners.

The layer room has the real thing; this is the least this room's tests need.
"""

from __future__ import annotations

import os
import stat
import sys
import tarfile

from kobako.linux import userns
from kobako.linux.ownership import XATTR, Own, Owners


def unpack(source: str, target: str) -> None:
    userns.enter_single()
    tree = os.path.join(target, "tree")
    os.makedirs(tree)
    os.chmod(tree, 0o755)
    os.umask(0)
    owners = Owners()
    kinds = {tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK}
    with tarfile.open(source) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if name in (".", ""):
                continue
            path = os.path.join(tree, name)
            kind = kinds.get(member.type, 0)
            own = Own(member.uid, member.gid)
            if member.issym():
                os.symlink(member.linkname, path)
                if own != Own(0, 0):
                    owners[os.fsencode(name)] = (own.uid, own.gid)
                continue
            if member.islnk():
                os.link(os.path.join(tree, member.linkname.removeprefix("./")), path)
                continue
            if member.isdir():
                os.mkdir(path)
            elif kind:
                open(path, "w").close()
                own = own.replace(type=kind, rdev=os.makedev(member.devmajor, member.devminor))
            else:
                with open(path, "wb") as out:
                    data = archive.extractfile(member)
                    assert data is not None
                    while piece := data.read(1 << 20):
                        out.write(piece)
            os.chmod(path, member.mode)
            if own != Own(0, 0):
                os.setxattr(path, XATTR, own.encode())
            os.utime(path, (member.mtime, member.mtime))
    owners.save(os.path.join(target, "owners"))


if __name__ == "__main__":
    unpack(*sys.argv[1:])
