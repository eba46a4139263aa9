"""Packages as an SPDX 2.3 document. The same packages give the same document.

https://spdx.github.io/spdx-spec/v2.3/
"""

from __future__ import annotations

from kobako import fastjson
from kobako.oci.digest import Digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from kobako.image.sbom.package import Package

_NONE = "NOASSERTION"
_ROOT = "SPDXRef-DocumentRoot-Image"
_TOLD_BY = {
    "deb": "dpkg's database",
    "apk": "apk's database",
    "pypi": "Python's metadata",
    "rpm": "rpm's database",
}


def document(name: str, packages: Iterable[Package], *, created: str, tool: str) -> dict[str, Any]:
    """The document of an image called `name`; `created` is RFC 3339 text, `tool` name-version."""
    listed = [_package(package) for package in packages]
    content = Digest.of(fastjson.dumps([name, created, listed]))
    root = {
        "SPDXID": _ROOT,
        "name": name,
        "downloadLocation": _NONE,
        "filesAnalyzed": False,
        "licenseConcluded": _NONE,
        "licenseDeclared": _NONE,
        "copyrightText": _NONE,
        "primaryPackagePurpose": "CONTAINER",
    }
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", _ROOT)]
    relations += [(_ROOT, "CONTAINS", package["SPDXID"]) for package in listed]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"https://spdx.org/spdxdocs/kobako-{content.encoded}",
        "creationInfo": {"created": _seconds(created), "creators": [f"Tool: {tool}"]},
        "packages": [root, *listed],
        "relationships": [
            {"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}
            for a, kind, b in relations
        ],
    }


def _package(package: Package) -> dict[str, Any]:
    ident = Digest.of(f"{package.purl} {package.found_in}".encode()).short
    word = "".join(c if c.isascii() and (c.isalnum() or c in ".-") else "-" for c in package.name)
    found: dict[str, Any] = {
        "SPDXID": f"SPDXRef-Package-{package.kind}-{word}-{ident}",
        "name": package.name,
        "supplier": f"Person: {_line(package.supplier)}" if package.supplier else _NONE,
        "downloadLocation": _NONE,
        "filesAnalyzed": False,
        "sourceInfo": f"told by {_TOLD_BY[package.kind]}: {package.found_in}",
        "licenseConcluded": _NONE,
        "licenseDeclared": package.license if package.license_is_expression else _NONE,
        "copyrightText": _NONE,
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": package.purl,
            }
        ],
    }
    if package.version:
        found["versionInfo"] = package.version
    if package.license and not package.license_is_expression:
        found["licenseComments"] = f"declared as: {package.license}"
    if package.homepage.startswith(("http://", "https://")) and " " not in package.homepage:
        found["homepage"] = package.homepage
    if package.summary:
        found["summary"] = package.summary
    return found


def _line(text: str) -> str:
    return " ".join(text.split())


def _seconds(created: str) -> str:
    """RFC 3339 without fractions, as SPDX wants times."""
    return created.partition(".")[0].removesuffix("Z") + "Z"
