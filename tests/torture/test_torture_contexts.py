"""Contexts that are hostile, huge, or change while they are read."""

from __future__ import annotations

import io
import os
import tarfile
import threading
from pathlib import Path

import pytest
from torture_command import FULL, Kobako

FILES = 100_000 if FULL else 5_000
HOLE = 1 << 30 if FULL else 1 << 28
ROUNDS = 20 if FULL else 5


@pytest.fixture
def context(place: Path) -> Path:
    path = place / "context"
    path.mkdir()
    return path


def built(kobako: Kobako, context: Path, dockerfile: str) -> dict[str, tarfile.TarInfo]:
    """What a build makes of the context, by name."""
    with tarfile.open(fileobj=io.BytesIO(packed(kobako, context, dockerfile))) as archive:
        return {member.name: member for member in archive}


def packed(kobako: Kobako, context: Path, dockerfile: str) -> bytes:
    words = ("build", "-f", "-", "-o", "type=tar,dest=-", str(context))
    return kobako(*words, data=dockerfile.encode()).raw


def content(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        file = opened.extractfile(name)
        assert file is not None
        return file.read()


def test_no_link_leads_out_of_a_context(kobako: Kobako, context: Path, place: Path) -> None:
    secret = place / "secret"
    secret.mkdir()
    (secret / "key").write_text("the secret itself")
    (context / "file").write_text("x")
    (context / "absolute").symlink_to(secret / "key")
    (context / "relative").symlink_to("../secret/key")
    (context / "up").symlink_to("../secret")
    (context / "loop").symlink_to("loop")
    (context / "chain").symlink_to("up/key")
    whole = packed(kobako, context, "FROM scratch\nCOPY . /\n")
    assert b"the secret itself" not in whole
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        assert archive.getmember("absolute").linkname == str(secret / "key")
        assert archive.getmember("up").linkname == "../secret"
    for source in (
        "absolute",
        "relative",
        "up/key",
        "up/",
        "chain",
        "loop",
        "../secret/key",
        "*l*",
    ):
        refused = kobako.refuses(
            "build", "-f", "-", str(context), data=f"FROM scratch\nCOPY {source} /x\n".encode()
        )
        assert "line 2" in refused.err or ":2" in refused.err, refused
        assert "the secret itself" not in refused.said
    # Nor does the name of a Dockerfile or an ignore file that is a link make it part of an image.
    (context / ".dockerignore").symlink_to(secret / "key")
    assert (
        b"the secret itself"
        not in kobako.attempt(
            "build", "-f", "-", "-o", "-", str(context), data=b"FROM scratch\nCOPY . /\n"
        ).raw
    )


def test_a_hole_takes_no_room(kobako: Kobako, context: Path) -> None:
    with open(context / "hole", "wb") as file:
        file.write(b"begin")
        file.truncate(HOLE)
    kobako("build", "-f", "-", "-t", "hole", str(context), data=b"FROM scratch\nCOPY hole /h\n")
    used = sum(
        os.lstat(os.path.join(parent, name)).st_blocks * 512
        for parent, _, names in os.walk(kobako.root)
        for name in names
    )
    assert used < 16 << 20
    (copy,) = kobako.root.glob("layers/*/*/tree/h")
    assert copy.stat().st_size == HOLE
    with open(copy, "rb") as file:
        assert file.read(10) == b"begin" + bytes(5)
    kobako.whole()


def test_very_many_files(kobako: Kobako, context: Path) -> None:
    for directory in range(FILES // 1000):
        (context / f"d{directory}").mkdir()
        fd = os.open(context / f"d{directory}", os.O_RDONLY)
        for number in range(1000):
            os.close(os.open(f"f{number}", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        os.close(fd)
    words = ("build", "--progress=plain", "-f", "-", "-t", "many", str(context))
    kobako(*words, data=b"FROM scratch\nCOPY . /all/\n")
    assert " CACHED" in kobako(*words, data=b"FROM scratch\nCOPY . /all/\n").err
    (context / "d3" / "f500").write_text("changed")
    found = built(kobako, context, "FROM scratch\nCOPY . /all/\n")
    assert len(found) == FILES + FILES // 1000 + 1
    assert found["all/d3/f500"].size == 7 and found["all/d4/f500"].size == 0


@pytest.mark.parametrize("atomic", [True, False], ids=["replaced", "in place"])
def test_a_file_that_changes_while_it_is_read(
    kobako: Kobako, context: Path, *, atomic: bool
) -> None:
    """A build gives some state of it or says that it changed; and what the cache keeps of it under
    a content's name is that content."""
    versions = [bytes([65 + n]) * ((4 << 20) + n % 2 * 4096) for n in range(4)]
    path = context / "file"
    over = threading.Event()

    def put(version: bytes) -> None:
        if atomic:
            (context / ".next").write_bytes(version)
            os.rename(context / ".next", path)
        else:
            with open(path, "r+b") as file:
                file.write(version)
                file.truncate()

    def change() -> None:
        number = 0
        while not over.is_set():
            put(versions[number % len(versions)])
            number += 1

    path.write_bytes(versions[0])
    dockerfile = "FROM scratch\nCOPY file /file\n"
    writer = threading.Thread(target=change)
    writer.start()
    try:
        for _ in range(ROUNDS):
            words = ("build", "-f", "-", "-o", "type=tar,dest=-", str(context))
            done = kobako.attempt(*words, data=dockerfile.encode())
            if done.code == 0:
                got = content(done.raw, "file")
                assert got in versions or not atomic
            else:
                assert "file" in done.err and "chang" in done.err, done
    finally:
        over.set()
        writer.join()
    for version in versions:
        path.write_bytes(version)
        assert content(packed(kobako, context, dockerfile), "file") == version
    kobako.whole()


def test_two_builds_export_their_cache_to_one_directory(
    kobako: Kobako, context: Path, place: Path
) -> None:
    (context / "file").write_text("x" * 100_000)
    directory = place / "cache"

    def words(name: str) -> tuple[str, ...]:
        to = f"type=local,dest={directory},mode=max,tag={name}"
        return ("build", "--progress=plain", "-f", "-", "--cache-to", to, str(context))

    def text(name: str) -> bytes:
        return f"FROM scratch\nCOPY file /{name}\nCOPY file /{name}.2\n".encode()

    names = [f"n{number}" for number in range(4)]
    processes = [kobako.popen(*words(name), stdin=-1) for name in names]
    for name, process in zip(names, processes, strict=True):
        assert process.stdin is not None
        process.stdin.write(text(name))
        process.stdin.close()
        process.stdin = None
    for process in processes:
        assert process.communicate(timeout=60)[1] and process.returncode == 0
    for name in names:
        elsewhere = kobako.at(place / f"store-{name}")
        source = f"type=local,src={directory},tag={name}"
        done = elsewhere(
            "build", "--progress=plain", "-f", "-", "--cache-from", source, str(context),
            data=text(name),
        )  # fmt: skip
        assert done.err.count(" CACHED") == 2, (name, done)
