"""Reading ELF files and the loader's cache, against binutils' and glibc's own word."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kobako.errors import Invalid
from kobako.image.from_host import elf, ldcache
from kobako.image.from_host.libraries import LibrarySearch, configured_directories

BASH = os.path.realpath(shutil.which("bash") or "/bin/bash")


def test_a_program_names_its_loader_and_libraries() -> None:
    found = elf.read(BASH)
    assert found is not None
    assert os.path.exists(found.interpreter)
    told = subprocess.run(["ldd", BASH], capture_output=True, text=True, check=True).stdout
    names = {line.split()[0] for line in told.splitlines() if "=>" in line}
    assert set(found.needed) <= names


def test_the_closure_is_what_ldd_tells() -> None:
    program = shutil.which("skopeo") or BASH
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    expected = {os.path.realpath(line.split()[2]) for line in told.splitlines() if "=> /" in line}
    found, missing = LibrarySearch.of_host().closure(program)
    assert {os.path.realpath(library.path) for library in found} >= expected
    loader = {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
    extra = {os.path.realpath(x.path) for x in found if x.name not in loader} - expected
    assert not extra
    assert not missing


def test_text_is_not_elf(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"#!/bin/sh\n")
    assert elf.read(str(tmp_path / "x")) is None
    (tmp_path / "y").write_bytes(b"")
    assert elf.read(str(tmp_path / "y")) is None


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(4, 4096), st.integers(0, 255)), max_size=12),
    st.integers(0, 20000),
)
def test_damaged_elf_is_refused_or_read(changes: list[tuple[int, int]], cut: int) -> None:
    with open(BASH, "rb") as file:
        raw = bytearray(file.read(1 << 18))
    for position, value in changes:
        raw[position] = value
    fd = os.memfd_create("elf")
    try:
        os.write(fd, bytes(raw[: len(raw) - cut * 13 % len(raw)]))
        try:
            elf.parse(fd, "damaged")
        except Invalid as refused:
            assert "damaged" in refused.message
    finally:
        os.close(fd)


def test_the_hosts_cache_is_read_as_ldconfig_reads_it() -> None:
    ldconfig = shutil.which("ldconfig", path="/sbin:/usr/sbin")
    assert ldconfig
    told = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=True).stdout
    lines = [line for line in told.splitlines() if " => " in line]
    expected = {(line.split()[0], line.split(" => ")[1]) for line in lines}
    cache = ldcache.parse(Path("/etc/ld.so.cache").read_bytes())
    assert {(name, path) for name, paths in cache.items() for path in paths} == expected


def test_glibc_reads_a_cache_we_build(tmp_path: Path) -> None:
    names = ["libc.so.6", "liba.so.10", "liba.so.9", "libz.so.1", "lib.so", "liba.so.1.2"]
    raw = ldcache.build([(n, f"/opt/{n}") for n in names], os.uname().machine)
    assert raw is not None
    (tmp_path / "cache").write_bytes(raw)
    ldconfig = shutil.which("ldconfig", path="/sbin:/usr/sbin")
    told = subprocess.run(
        [ldconfig or "", "-p", "-C", str(tmp_path / "cache")], capture_output=True, text=True
    )
    assert [line.split(" => ")[1] for line in told.stdout.splitlines() if " => " in line] == [
        "/opt/libz.so.1",
        "/opt/libc.so.6",
        "/opt/liba.so.10",
        "/opt/liba.so.9",
        "/opt/liba.so.1.2",
        "/opt/lib.so",
    ]
    assert ldcache.parse(raw) == {n: [f"/opt/{n}"] for n in names}


def test_the_order_is_that_of_the_hosts_own_cache() -> None:
    # Built by the same glibc whose loader will search ours by bisection.
    told = subprocess.run(
        ["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True
    ).stdout
    names = [line.split()[0] for line in told.splitlines() if " => " in line]
    keys = [ldcache._order(name) for name in names]
    assert keys == sorted(keys, reverse=True)


@given(st.binary(max_size=200))
def test_no_cache_crashes(raw: bytes) -> None:
    ldcache.parse(raw)
    ldcache.parse(b"glibc-ld.so.cache1.1" + raw)


def test_search_paths_come_before_the_cache(tmp_path: Path) -> None:
    library = LibrarySearch.of_host().closure(BASH)[0][0]
    (tmp_path / library.name).symlink_to(os.path.realpath(library.path))
    search = LibrarySearch({library.name: [str(tmp_path / library.name)]}, ())
    loaded = elf.read(BASH)
    assert loaded is not None
    assert search.find(library.name, loaded) == str(tmp_path / library.name)
    assert search.find("libnothing.so.9", loaded) is None


def test_includes_of_ld_so_conf_are_followed(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/b.conf").write_text("/b # comment\n")
    (tmp_path / "conf.d/a.conf").write_text("/a\ninclude ../main.conf\n")
    (tmp_path / "conf.d/c.txt").write_text("/c\n")
    (tmp_path / "main.conf").write_text("include conf.d/*.conf\nrelative\n/main\n")
    found = configured_directories(str(tmp_path / "main.conf"))
    assert found[-1] == "/main"
    assert set(found) == {"/a", "/b", "/main"}


@pytest.mark.parametrize(
    "data", [b"\x7fELF", b"\x7fELF\x02\x01\x01" + bytes(9), b"\x7fELF\x09\x09"]
)
def test_a_lone_magic_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(Invalid, match="damaged ELF"):
        elf.read(str(tmp_path / "x"))
