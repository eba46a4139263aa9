"""Packages of Alpine: apk's database of what is installed.

https://wiki.alpinelinux.org/wiki/Apk_spec
"""

from __future__ import annotations

from kobako.image.sbom.package import Package, os_release, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_DATABASES = ("lib/apk/db/installed", "usr/lib/apk/db/installed")


def packages(tree_fd: int) -> Iterator[Package]:
    """What apk has installed in the tree."""
    release = os_release(tree_fd)
    distro = release.get("ID", "") or "alpine"
    version = release.get("VERSION_ID", "")
    seen: set[tuple[str, str]] = set()
    for path in _DATABASES:  # one may be a link to the other
        for fields in _records(read(tree_fd, path) or ""):
            key = fields.get("P", ""), fields.get("V", "")
            if key[0] and key not in seen:
                seen.add(key)
                yield Package(
                    "apk", *key, "/" + path,
                    namespace=distro,
                    qualifiers=(
                        ("arch", fields.get("A", "")),
                        ("distro", f"{distro}-{version}" if version else distro),
                        ("upstream", fields.get("o", "")),
                    ),
                    supplier=fields.get("m", ""),
                    homepage=fields.get("U", ""),
                    license=fields.get("L", ""),
                    summary=fields.get("T", ""),
                )  # fmt: skip


def _records(text: str) -> Iterator[dict[str, str]]:
    """Records are lines `X:value`; of the letters that come again (files) the first counts."""
    fields: dict[str, str] = {}
    for line in [*text.split("\n"), ""]:
        if not line.strip():
            if fields:
                yield fields
            fields = {}
        elif line[1:2] == ":":
            fields.setdefault(line[0], line[2:].strip())
