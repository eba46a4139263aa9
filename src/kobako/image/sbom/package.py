"""A package found in a tree, and reading the tree's files."""

from __future__ import annotations

import os
import stat

from kobako.linux import inroot
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FILE = 64 << 20


class Package(Record):
    """`kind` is the package URL's type: "deb", "apk", "pypi", "rpm". `found_in` is the path of the
    file that tells of it. `qualifiers` are those of its URL, as (key, value)."""

    kind: str
    name: str
    version: str
    found_in: str
    namespace: str = ""
    qualifiers: tuple[tuple[str, str], ...] = ()
    supplier: str = ""
    homepage: str = ""
    license: str = ""
    license_is_expression: bool = False
    summary: str = ""

    @property
    def purl(self) -> str:
        """https://github.com/package-url/purl-spec"""
        from urllib.parse import quote

        space = f"{quote(self.namespace, safe='')}/" if self.namespace else ""
        name = f"pkg:{self.kind}/{space}{quote(self.name, safe='')}"
        version = f"@{quote(self.version, safe=':')}" if self.version else ""
        pairs = [f"{k}={quote(v, safe=':')}" for k, v in sorted(self.qualifiers) if v]
        return name + version + ("?" + "&".join(pairs) if pairs else "")


def read(tree_fd: int, path: str) -> str | None:
    """The text of a regular file of the tree, links followed within it; None when there is none
    or it is absurdly large."""
    within = inroot.IN_ROOT | inroot.NO_MAGICLINKS
    try:
        fd = inroot.openat2(tree_fd, os.fsencode(path), os.O_RDONLY | os.O_NONBLOCK, within)
    except OSError:
        return None
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE:
            return None
        return file.read(MAX_FILE).decode("utf-8", "replace")


def names(tree_fd: int, path: str) -> list[str]:
    """What is in a directory of the tree, sorted; nothing when there is none."""
    within = inroot.IN_ROOT | inroot.NO_MAGICLINKS
    try:
        fd = inroot.openat2(tree_fd, os.fsencode(path), os.O_RDONLY | os.O_DIRECTORY, within)
    except OSError:
        return []
    try:
        return sorted(os.listdir(fd))
    finally:
        os.close(fd)


def paragraphs(text: str) -> Iterator[dict[str, str]]:
    """The stanzas of a control file (RFC 822 like): keys in lower case, continuations joined."""
    fields: dict[str, str] = {}
    key = ""
    for line in text.split("\n"):
        if not line.strip():
            if fields:
                yield fields
            fields, key = {}, ""
        elif line[0] in " \t":
            if key:
                fields[key] += "\n" + line.strip()
        else:
            name, colon, value = line.partition(":")
            key = name.strip().lower() if colon else ""
            if key:
                fields.setdefault(key, value.strip())
    if fields:
        yield fields


def os_release(tree_fd: int) -> dict[str, str]:
    """os-release(5) of the tree."""
    text = read(tree_fd, "etc/os-release") or read(tree_fd, "usr/lib/os-release") or ""
    found = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            found[key.strip()] = value.strip().strip("\"'")
    return found
