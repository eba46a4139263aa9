"""Python's distributions: the METADATA of dist-info directories, the PKG-INFO of egg-info.

https://packaging.python.org/en/latest/specifications/core-metadata/
"""

from __future__ import annotations

import os

from kobako.image.sbom.package import Package, paragraphs, read
from kobako.linux import fs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_ELSEWHERE = (b"dev", b"proc", b"sys")


def packages(tree_fd: int) -> Iterator[Package]:
    """Every distribution that is installed anywhere in the tree."""
    for path in sorted(_metadata_files(tree_fd)):
        text = read(tree_fd, path)
        fields = next(paragraphs(text), {}) if text else {}
        if fields.get("name"):
            yield _package(fields, path)


def _metadata_files(tree_fd: int) -> Iterator[str]:
    pending = [b""]
    while pending:
        path = pending.pop()
        try:
            fd = fs.open_directory(tree_fd, path)
        except OSError:
            continue
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    name = os.fsencode(entry.name)
                    child = path + b"/" + name if path else name
                    if name.endswith(b".egg-info") and entry.is_file(follow_symlinks=False):
                        yield os.fsdecode(child)
                    elif not entry.is_dir(follow_symlinks=False) or child in _ELSEWHERE:
                        continue
                    elif name.endswith(b".dist-info"):
                        yield os.fsdecode(child) + "/METADATA"
                    elif name.endswith(b".egg-info"):
                        yield os.fsdecode(child) + "/PKG-INFO"
                    else:
                        pending.append(child)
        finally:
            os.close(fd)


def _expression(text: str) -> str:
    """A licence as SPDX can have it; "" for what is no expression at all."""
    plain = text.replace("(", " ").replace(")", " ").replace("+", "")
    words = [word.replace("-", "").replace(".", "") for word in plain.split()]
    fine = words and all(word.isascii() and word.isalnum() for word in words)
    return text if fine and text.count("(") == text.count(")") else ""


def _package(fields: dict[str, str], path: str) -> Package:
    name = fields["name"].lower().replace("_", "-").replace(".", "-")  # PEP 503
    while "--" in name:
        name = name.replace("--", "-")
    expression = _expression(fields.get("license-expression", ""))
    given = fields.get("license-expression", "") or fields.get("license", "")
    author = fields.get("author", "") or fields.get("maintainer", "")
    mail = fields.get("author-email", "") or fields.get("maintainer-email", "")
    return Package(
        "pypi",
        name,
        fields.get("version", ""),
        "/" + os.fsencode(path).decode("utf-8", "replace"),
        supplier=f"{author} <{mail}>" if author and mail and "<" not in mail else author or mail,
        homepage=fields.get("home-page", "").replace("UNKNOWN", ""),
        license=expression or ("" if "\n" in given or given == "UNKNOWN" else given),
        license_is_expression=bool(expression),
        summary=fields.get("summary", "").partition("\n")[0],
    )
