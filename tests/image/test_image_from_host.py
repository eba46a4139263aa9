"""A base image of this machine's programs: does it run, and does it keep our secrets?"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from kobako.errors import Invalid, NotFound
from kobako.image.from_host import interpreters, programs
from kobako.image.from_host.base_image import make_image
from kobako.image.from_host.collect import Collection, collect
from kobako.image.mutate import Image
from kobako.store import ContentStore

PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
WORDS = ("bash", "python3", "coreutils")


@pytest.fixture(scope="module")
def collection() -> Collection:
    return collect(WORDS, path=PATH)


@pytest.fixture
def image(blobs: ContentStore, collection: Collection) -> Image:
    return make_image(blobs, collection, words=WORDS)


def extract(blobs: ContentStore, image: Image, target: Path) -> None:
    target.mkdir()
    layer = blobs.path(image.manifest.layers[0].digest)
    subprocess.run(["tar", "-xf", layer, "-C", str(target)], check=True)


def inside(root: Path, script: str) -> str:
    """What a shell in the tree prints; the tree is read-only as in a strict container."""
    done = subprocess.run(
        [
            *("bwrap", "--unshare-all", "--ro-bind", str(root), "/", "--proc", "/proc"),
            *("--dev", "/dev", "--tmpfs", "/tmp", "--clearenv", "--setenv", "PATH", PATH),
            *("/bin/sh", "-ec", script),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.needs("bwrap")
def test_the_programs_run(blobs: ContentStore, image: Image, tmp_path: Path) -> None:
    extract(blobs, image, tmp_path / "root")
    told = inside(
        tmp_path / "root",
        """
        python3 -c 'import ssl,json,hashlib,sqlite3,ctypes,lzma,bz2,zlib,curses,decimal; print(1)'
        python -c 'import sys; print(sys.flags.optimize)'
        bash -c 'ls / | head -1'
        LC_ALL=C.UTF-8 bash -c 'x=箱; echo ${#x}'
        python3 -c 'import curses; curses.setupterm("xterm-256color"); print("term")'
        python3 -c 'import pwd; print(pwd.getpwuid(0).pw_dir, pwd.getpwnam("nobody").pw_uid)'
        """,
    )
    assert told.split() == ["1", "0", "bin", "1", "term", "/root", "65534"]


@pytest.mark.needs("bwrap")
def test_byte_code_is_valid_where_it_lands(
    blobs: ContentStore, image: Image, tmp_path: Path
) -> None:
    extract(blobs, image, tmp_path / "root")
    told = inside(tmp_path / "root", "python3 -v -c 'import json, ssl' 2>&1")
    assert "matches" in told
    compiled = [line for line in told.splitlines() if "could not create" in line]
    assert not compiled


def test_the_same_files_give_the_same_image(blobs: ContentStore, image: Image) -> None:
    again = make_image(blobs, collect(WORDS, path=PATH), words=WORDS)
    assert again == image
    other = make_image(blobs, collect(WORDS, path=PATH), words=WORDS, epoch=1_000_000_000)
    assert other.id != image.id
    assert other.config.created == "2001-09-09T01:46:40Z"


def test_everything_belongs_to_root(blobs: ContentStore, image: Image) -> None:
    with tarfile.open(blobs.path(image.manifest.layers[0].digest)) as archive:
        members = archive.getmembers()
    assert {(m.uid, m.gid, m.mtime) for m in members} == {(0, 0, members[0].mtime)}
    modes = {m.name.removeprefix("./"): m.mode for m in members}
    assert (modes["tmp"], modes["root"], modes["var/tmp"]) == (0o1777, 0o700, 0o1777)
    assert {m.type for m in members} <= {tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, b"1"}


def test_nothing_of_this_machines_people_is_in_it(collection: Collection) -> None:
    for where, entry in collection.plan.entries.items():
        assert not entry.source.startswith("/etc/") or entry.source.startswith(
            ("/etc/alternatives/", "/etc/terminfo/")
        ), where
        assert not where.startswith("/home/"), where
        assert not where.startswith("/root/") or not entry.source, where  # what we wrote is ours
        assert not any(h in entry.target for h in ("/root", "/home")), where
    etc = {w for w in collection.plan.entries if w.startswith("/etc/")}
    assert {"/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/os-release"} <= etc
    assert not etc & {"/etc/shadow", "/etc/gshadow", "/etc/machine-id", "/etc/ssh"}


@pytest.mark.needs("bwrap")
def test_links_lead_somewhere(blobs: ContentStore, image: Image, tmp_path: Path) -> None:
    extract(blobs, image, tmp_path / "root")
    told = inside(
        tmp_path / "root",
        "python3 -c \"import os; print([os.path.join(d,n) for d,_,f in os.walk('/usr') for n in f"
        ' if not os.path.exists(os.path.join(d,n))])"',
    )
    assert told.strip() == "[]"


def test_the_config_says_how_to_run_it(image: Image) -> None:
    assert image.config.config["Cmd"] == ["python3"]
    assert image.config.config["Env"][0].startswith("PATH=/usr/local/sbin:")
    assert image.config.history[0].created_by == "image from-host bash python3 coreutils"


def test_arguments_choose_command_and_environment(blobs: ContentStore) -> None:
    made = make_image(blobs, collect(["bash"], path=PATH), command=["bash", "-l"], env=["A=1"])
    assert made.config.config["Cmd"] == ["bash", "-l"]
    assert made.config.config["Env"][1:] == ["A=1"]
    assert make_image(blobs, collect(["bash"], path=PATH)).config.config["Cmd"] == ["bash"]


def test_certificates_come_on_request() -> None:
    assert not collect(["true"], path=PATH).plan.holds("/etc/ssl/certs/ca-certificates.crt")
    plan = collect(["true"], path=PATH, with_ca=True).plan
    assert b"BEGIN CERTIFICATE" in plan.entries["/etc/ssl/certs/ca-certificates.crt"].data


def test_a_virtual_environment_leads_to_its_python(tmp_path: Path) -> None:
    subprocess.run(
        ["/usr/bin/python3", "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True
    )
    python = interpreters.describe_python(f"{tmp_path}/venv/bin/python", PATH)
    assert python.executable == os.path.realpath("/usr/bin/python3")
    plan = collect([f"{tmp_path}/venv/bin/python"], path=PATH, homes=[str(tmp_path)]).plan
    assert not any(str(tmp_path) in where for where in plan.entries)


@pytest.mark.needs("bwrap")
def test_a_python_off_the_path_is_found(blobs: ContentStore, tmp_path: Path) -> None:
    """As in an activated virtual environment outside of every home."""
    venv = tmp_path / "venv"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(venv)], check=True)
    found = collect(["python3", "bash"], path=f"{venv}/bin:{PATH}")
    assert found.programs[0] in ("/usr/bin/python3", "/usr/local/bin/python3")
    assert not any(str(tmp_path) in where for where in found.plan.entries)
    extract(blobs, make_image(blobs, found), tmp_path / "root")
    told = inside(tmp_path / "root", "for p in python python3; do $p -c 'print(1)'; done")
    assert told == "1\n1\n"


@pytest.mark.needs("bwrap")
def test_a_python_of_a_home_moves(blobs: ContentStore, tmp_path: Path) -> None:
    """As pyenv's: a prefix of its own in somebody's home, found through a shim."""
    real = interpreters.describe_python("/usr/bin/python3", PATH)
    prefix = tmp_path / "home/.pyenv/versions/x"
    (prefix / "bin").mkdir(parents=True)
    shutil.copy(real.executable, prefix / "bin" / os.path.basename(real.executable))
    (prefix / "bin/python3").symlink_to(os.path.basename(real.executable))
    shutil.copytree(
        real.stdlib,
        prefix / "lib" / f"python{real.version}",
        symlinks=False,
        ignore=shutil.ignore_patterns("test", "config-*", "idlelib", "dist-packages", "*.a"),
        ignore_dangling_symlinks=True,
    )
    shim = tmp_path / "home/shims/python3"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {prefix}/bin/python3 "$@"\n')
    shim.chmod(0o755)
    path = f"{shim.parent}:{PATH}"
    found = collect(["python3", "bash"], path=path, homes=[str(tmp_path / "home")])
    assert found.programs[0] == "/usr/local/bin/python3"
    assert not any(str(tmp_path) in w or str(tmp_path) in e.target
                   for w, e in found.plan.entries.items())  # fmt: skip
    extract(blobs, make_image(blobs, found), tmp_path / "root")
    told = inside(tmp_path / "root", "python -c 'import sys, ssl; print(sys.prefix)'")
    assert told == "/usr/local\n"


def test_scripts_bring_their_interpreters(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/usr/bin/env bash\necho hi\n")
    tool.chmod(0o755)
    plan = collect([str(tool)], path=PATH).plan
    assert plan.holds("/usr/bin/env")
    assert plan.holds("/bin/bash")
    assert plan.holds(str(tool))


def test_a_file_of_neither_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"\x00\x01")
    (tmp_path / "data").chmod(0o755)
    with pytest.raises(Invalid, match="neither an ELF program nor a script"):
        collect([str(tmp_path / "data")], path=PATH)


def test_unknown_words_are_named() -> None:
    with pytest.raises(NotFound, match="no program, package or set called nosuchtool"):
        collect(["nosuchtool"], path=PATH)
    with pytest.raises(NotFound, match="/no/such does not exist"):
        collect(["/no/such"], path=PATH)
    with pytest.raises(Invalid, match="no programs given"):
        collect([], path=PATH)


def test_a_set_is_known_without_a_package_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_package_files", lambda word: iter(()))
    names = {os.path.basename(p) for p in programs.find("coreutils", PATH).programs}
    assert {"ls", "cat", "cp", "env", "sort", "sleep"} <= names


@pytest.mark.needs("bwrap")
def test_perl_runs(blobs: ContentStore, tmp_path: Path) -> None:
    found = collect(["perl"], path=PATH)
    extract(blobs, make_image(blobs, found), tmp_path / "root")
    told = inside(tmp_path / "root", "perl -MPOSIX -MData::Dumper -e 'print floor(5.5)'")
    assert told == "5"
