"""Everything a tree's package managers know, in a fixed order."""

from __future__ import annotations

from kobako.image.sbom import apk, dpkg, python, rpm
from kobako.image.sbom.package import Package, names
from kobako.record import Record

_RPM = ("var/lib/rpm", "usr/lib/sysimage/rpm")
_OLD = {"Packages", "Packages.db"}
"""rpm's databases before SQLite."""


class Scan(Record):
    """`unread` names rpm databases in an older form, whose packages are not listed."""

    packages: tuple[Package, ...]
    unread: tuple[str, ...] = ()


def scan(tree_fd: int) -> Scan:
    """The packages of the root file system at a directory descriptor."""
    found = [package for room in (dpkg, apk, python, rpm) for package in room.packages(tree_fd)]
    found.sort(key=lambda p: (p.kind, p.name, p.version, p.found_in))
    unread = tuple("/" + path for path in _RPM if _OLD & set(names(tree_fd, path)))
    return Scan(tuple(found), unread)
