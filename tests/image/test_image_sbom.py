"""Packages found in trees, friendly and hostile, and the SPDX document of them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from kobako.image.sbom.package import Package
from kobako.image.sbom.scan import Scan, scan
from kobako.image.sbom.spdx import document

DPKG = """\
Package: bash
Status: install ok installed
Maintainer: Someone <s@example.org>
Architecture: amd64
Source: bash-src (5.1)
Version: 5.2-1+b2
Description: a shell
 with more lines
Homepage: http://example.org/bash

Package: gone
Status: deinstall ok config-files
Version: 1
"""
APK = """\
C:Q1abc=
P:busybox
V:1.36.1-r5
A:x86_64
T:Many tools
U:https://busybox.net/
L:GPL-2.0-only
o:busybox
m:Maintainer <m@example.org>
F:bin
R:busybox

P:musl
V:1.2
"""


def files(root: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def scanned(root: Path) -> Scan:
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return scan(fd)
    finally:
        os.close(fd)


def test_package_managers_are_read(tmp_path: Path) -> None:
    site = "usr/lib/python3.11/site-packages"
    files(
        tmp_path,
        {
            "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
            "var/lib/dpkg/status": DPKG,
            "var/lib/dpkg/status.d/base-files": "Package: base-files\nVersion: 12.4\n",
            "lib/apk/db/installed": APK,
            f"{site}/Foo_Bar.x-1.dist-info/METADATA": "Name: Foo_Bar.x\nVersion: 1\n"
            "License-Expression: MIT OR Apache-2.0\n\nName: body\n",
            f"{site}/old.egg-info/PKG-INFO": "Name: old\nVersion: 2\nLicense: A licence\n",
            "opt/app/single.egg-info": "Name: single\nVersion: 3\nLicense-Expression: ) (\n",
            "var/lib/rpm/Packages": "",
        },
    )
    found = scanned(tmp_path)
    assert [p.purl for p in found.packages] == [
        "pkg:apk/debian/busybox@1.36.1-r5?arch=x86_64&distro=debian-12&upstream=busybox",
        "pkg:apk/debian/musl@1.2?distro=debian-12",
        "pkg:deb/debian/base-files@12.4?distro=debian-12",
        "pkg:deb/debian/bash@5.2-1%2Bb2?arch=amd64&distro=debian-12&upstream=bash-src%405.1",
        "pkg:pypi/foo-bar-x@1",
        "pkg:pypi/old@2",
        "pkg:pypi/single@3",
    ]
    assert found.unread == ("/var/lib/rpm",)
    made = document("name", found.packages, created="2024-01-02T03:04:05.6Z", tool="kobako-1")
    assert made["creationInfo"]["created"] == "2024-01-02T03:04:05Z"
    packages = {p["name"]: p for p in made["packages"]}
    assert packages["foo-bar-x"]["licenseDeclared"] == "MIT OR Apache-2.0"
    assert packages["single"]["licenseDeclared"] == "NOASSERTION"
    assert packages["bash"]["homepage"] == "http://example.org/bash"
    ids = [p["SPDXID"] for p in made["packages"]]
    assert len(set(ids)) == len(ids) == 8
    assert {r["relatedSpdxElement"] for r in made["relationships"]} == set(ids)
    again = document("name", found.packages, created="2024-01-02T03:04:05.6Z", tool="kobako-1")
    assert again == made


SPEC = """\
Name: {name}
Version: 1.5
Release: 2
Epoch: 3
Summary: a package
License: MIT
URL: https://example.org/{name}
Vendor: Example
BuildArch: noarch
%description
None.
%files
"""


@pytest.mark.needs("rpm", "rpmbuild")
def test_a_database_that_rpm_wrote(tmp_path: Path) -> None:
    tree, top = tmp_path / "tree", tmp_path / "top"
    files(tree, {"usr/lib/os-release": "ID=fedora\nVERSION_ID=40\n"})
    for name in ("one", "two"):
        files(top, {f"{name}.spec": SPEC.format(name=name)})
        subprocess.run(
            ["rpmbuild", "-bb", "--quiet", "-D", f"_topdir {top}", top / f"{name}.spec"],
            check=True, capture_output=True,
        )  # fmt: skip
    packages = [str(path) for path in top.glob("RPMS/noarch/*.rpm")]
    database = tree / "usr/lib/sysimage/rpm"
    database.mkdir(parents=True)
    subprocess.run(
        ["rpm", "--dbpath", database, "-i", "--justdb", "--nodeps", *packages],
        check=True, capture_output=True,
    )  # fmt: skip
    found = scanned(tree)
    assert [p.purl for p in found.packages] == [
        f"pkg:rpm/fedora/{name}@1.5-2?arch=noarch&distro=fedora-40&epoch=3"
        f"&upstream={name}-1.5-2.src.rpm"
        for name in ("one", "two")
    ]
    one = found.packages[0]
    assert (one.license, one.homepage) == ("MIT", "https://example.org/one")
    assert one.supplier == "Example" and not found.unread
    whole = (database / "rpmdb.sqlite").read_bytes()
    for cut in range(0, len(whole), len(whole) // 7 + 1):  # damaged: fewer packages, no crash
        (database / "rpmdb.sqlite").write_bytes(whole[:cut] + bytes(512) + whole[cut + 512 :])
        assert len(scanned(tree).packages) <= 2


def test_a_database_made_to_deceive(tmp_path: Path) -> None:
    path = tmp_path / "var/lib/rpm/rpmdb.sqlite"
    path.parent.mkdir(parents=True)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i, i FROM n"
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"CREATE VIEW Packages(hnum, blob) AS {endless}")
    assert scanned(tmp_path).packages == ()
    path.unlink()
    headers = [b"", b"\xff" * 8, b"\0\0\0\x01\0\0\0\x01" + b"\xff" * 17, "text", None]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
        database.executemany("INSERT INTO Packages(blob) VALUES (?)", [(h,) for h in headers])
    assert scanned(tmp_path).packages == ()
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert scanned(tmp_path).packages == ()


def test_nothing_outside_the_tree_is_read(tmp_path: Path) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    files(outside, {"status": DPKG, "x.dist-info/METADATA": "Name: stolen\nVersion: 1\n"})
    (tree / "var/lib/dpkg").mkdir(parents=True)
    (tree / "var/lib/dpkg/status").symlink_to(outside / "status")
    (tree / "packages").symlink_to(outside)
    (tree / "lib/apk/db").mkdir(parents=True)
    os.mkfifo(tree / "lib/apk/db/installed")
    (tree / "y.dist-info").mkdir()
    (tree / "y.dist-info/METADATA").symlink_to("../../outside/x.dist-info/METADATA")
    assert scanned(tree) == Scan(())


@pytest.mark.parametrize("text", ["", "\0\xff", ":\n:\n", "Name\n" * 1000, " x\n y\n", "P:\n\n:"])
def test_garbage_is_no_package(tmp_path: Path, text: str) -> None:
    paths = ("var/lib/dpkg/status", "lib/apk/db/installed", "a.dist-info/METADATA")
    files(tmp_path, dict.fromkeys(paths, text))
    assert scanned(tmp_path).packages == ()


def test_a_name_needs_no_more_than_a_name() -> None:
    made = document("n", [Package("deb", "ü x", "", "/f")], created="t", tool="t")
    assert made["packages"][1]["SPDXID"].isascii()
