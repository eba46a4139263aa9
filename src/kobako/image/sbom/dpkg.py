"""Packages of Debian and its kin: dpkg's status file, and distroless' status.d."""

from __future__ import annotations

from kobako.image.sbom.package import Package, names, os_release, paragraphs, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_STATUS = "var/lib/dpkg/status"


def packages(tree_fd: int) -> Iterator[Package]:
    """What dpkg has installed in the tree."""
    release = os_release(tree_fd)
    distro = release.get("ID", "")
    version = release.get("VERSION_ID", "")
    mark = f"{distro}-{version}" if distro and version else distro
    files = [_STATUS]
    files += [f"{_STATUS}.d/{n}" for n in names(tree_fd, f"{_STATUS}.d") if "." not in n]
    for path in files:
        for fields in paragraphs(read(tree_fd, path) or ""):
            if _installed(fields, path) and fields.get("package"):
                yield _package(fields, distro or "debian", mark, path)


def _installed(fields: dict[str, str], path: str) -> bool:
    if path != _STATUS and "status" not in fields:
        return True  # distroless notes only what is there
    return fields.get("status", "").split()[-1:] == ["installed"]


def _package(fields: dict[str, str], distro: str, mark: str, path: str) -> Package:
    source, _, upstream = fields.get("source", "").partition(" ")
    source += f"@{upstream.strip('()')}" if upstream else ""
    return Package(
        "deb",
        fields["package"],
        fields.get("version", ""),
        "/" + path,
        namespace=distro,
        qualifiers=(
            ("arch", fields.get("architecture", "")), ("distro", mark), ("upstream", source),
        ),
        supplier=fields.get("maintainer", ""),
        homepage=fields.get("homepage", ""),
        summary=fields.get("description", "").partition("\n")[0],
    )  # fmt: skip
