"""Packages of Fedora, openSUSE and their kin: rpm's database where it is an SQLite file.

A package is a header: counts, an index of tags, and the data they point to.
https://rpm-software-management.github.io/rpm/manual/format_header.html
"""

from __future__ import annotations

import os
import struct

from kobako.image.sbom.package import Package, os_release
from kobako.linux import inroot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_DATABASES = ("var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/rpmdb.sqlite")
_NAME, _VERSION, _RELEASE, _EPOCH, _SUMMARY = 1000, 1001, 1002, 1003, 1004
_VENDOR, _LICENSE, _URL, _ARCH, _SOURCE = 1011, 1014, 1020, 1022, 1044
_INT32, _STRING, _I18N = 4, 6, 9
_ENTRY = struct.Struct(">IIiI")
_MOST = 16 << 20
_KEYS = "gpg-pubkey"
"""What rpm keeps the keys as it trusts: no packages."""


def packages(tree_fd: int) -> Iterator[Package]:
    """What rpm has installed in the tree. A database that is damaged has what can be read of it."""
    release = os_release(tree_fd)
    distro, version = release.get("ID", ""), release.get("VERSION_ID", "")
    mark = f"{distro}-{version}" if distro and version else distro
    for path in _DATABASES:
        for header in _headers(tree_fd, path):
            tags = _tags(header)
            if tags.get(_NAME) and tags[_NAME] != _KEYS:
                yield _package(tags, distro or "rpm", mark, path)


def _headers(tree_fd: int, path: str) -> Iterator[bytes]:
    import sqlite3

    within = inroot.IN_ROOT | inroot.NO_MAGICLINKS
    try:
        fd = inroot.openat2(tree_fd, os.fsencode(path), os.O_RDONLY | os.O_NONBLOCK, within)
    except OSError:
        return
    try:
        # Immutable: neither locks nor a journal beside it; the tree is nobody's to write to.
        place = f"file:/proc/self/fd/{fd}?mode=ro&immutable=1"
        database = sqlite3.connect(place, uri=True)
        try:
            database.execute("PRAGMA trusted_schema = OFF")
            form = "SELECT sql FROM sqlite_master WHERE name = 'Packages' AND type = 'table'"
            row = database.execute(form).fetchone()
            if row is None or not str(row[0]).upper().startswith("CREATE TABLE"):
                return  # a view or a virtual table may take for ever
            query = "SELECT blob FROM Packages WHERE length(blob) <= ? ORDER BY hnum"
            for (blob,) in database.execute(query, (_MOST,)):
                if isinstance(blob, bytes):
                    yield blob
        except sqlite3.Error:
            return
        finally:
            database.close()
    finally:
        os.close(fd)


def _tags(header: bytes) -> dict[int, str]:
    """The tags that are a text or one number; none of a header that is not one."""
    found: dict[int, str] = {}
    if len(header) < 8:
        return found
    count, size = struct.unpack_from(">II", header)
    start = 8 + count * _ENTRY.size
    if start > len(header) or size > len(header) - start:
        return found
    data = header[start : start + size]
    for at in range(count):
        tag, kind, offset, number = _ENTRY.unpack_from(header, 8 + at * _ENTRY.size)
        if not 0 <= offset < size or not number:
            continue
        if kind in (_STRING, _I18N):
            found[tag] = data[offset : data.find(b"\0", offset)].decode("utf-8", "replace")
        elif kind == _INT32 and offset + 4 <= size:
            found[tag] = str(struct.unpack_from(">I", data, offset)[0])
    return found


def _package(tags: dict[int, str], distro: str, mark: str, path: str) -> Package:
    version = tags.get(_VERSION, "")
    release = tags.get(_RELEASE, "")
    return Package(
        "rpm",
        tags[_NAME],
        f"{version}-{release}" if release else version,
        "/" + path,
        namespace=distro,
        qualifiers=(
            ("arch", tags.get(_ARCH, "")), ("distro", mark), ("epoch", tags.get(_EPOCH, "")),
            ("upstream", tags.get(_SOURCE, "")),
        ),
        supplier=tags.get(_VENDOR, ""),
        homepage=tags.get(_URL, ""),
        license=tags.get(_LICENSE, ""),
        summary=tags.get(_SUMMARY, ""),
    )  # fmt: skip
