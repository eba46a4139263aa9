"""`builder prune`, `builder du` and `builder cache-mount`."""

from __future__ import annotations

import io
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest
from e2e_command import Kobako, eventually

STEPS = 'FROM small\nRUN echo one > /one\nRUN echo two > /two\nCMD ["cat"]\n'
FILL = (
    "FROM small\nRUN --mount=type=cache,target=/kept echo hello > /kept/file"
    " && ln -s file /kept/link && mkdir /kept/own"
    " && chmod 750 /kept/own && chown -R 7:8 /kept/own\n"
)
SHOW = (
    "FROM small\nRUN --mount=type=cache,target=/kept cat /kept/link && stat -c %a:%u:%g /kept/own\n"
)


@pytest.fixture
def machine(elsewhere: Kobako) -> Kobako:
    """A store of its own, with the image `small`."""
    words = "sh cat echo ln mkdir chmod chown stat sleep true".split()
    elsewhere("image", "from-host", "--name", "small", *words)
    return elsewhere


@pytest.fixture
def other(machine: Kobako) -> Kobako:
    """Another store with the same image."""
    second = machine.at(machine.root.parent / "second")
    second("load", data=machine("save", "small").raw)
    return second


def build(kobako: Kobako, site: Path, text: str, *words: str, tag: str = "made") -> str:
    (site / "Dockerfile").write_text(text)
    return kobako("build", "-t", tag, "--progress=plain", *words, str(site)).err


def objects(kobako: Kobako, *words: str) -> list[str]:
    return kobako("builder", "du", *words, "--format", "{{.Type}} {{.Shared}}").lines


def test_prune_leaves_what_images_share(machine: Kobako, tmp_path: Path) -> None:
    build(machine, tmp_path, STEPS)
    build(machine, tmp_path, STEPS.replace("two", "three"))
    machine("image", "prune", "-f")  # the first image has no name now: /two is of none
    assert sorted(objects(machine)) == ["internal false", "regular false", *["regular true"] * 2]
    assert "Total reclaimed space: 0B" not in machine("builder", "prune", "-f").out
    assert objects(machine, "--filter", "type=regular") == ["regular true"] * 2
    assert build(machine, tmp_path, STEPS.replace("two", "three")).count("CACHED") == 2
    assert machine("buildx", "prune", "-af").out.count("\n") > 2
    assert objects(machine) == []
    assert machine("builder", "du").lines[-1] == "Total:        0B"
    assert build(machine, tmp_path, STEPS).count("CACHED") == 0
    assert machine("fsck").code == 0


def test_prune_by_age_and_size(machine: Kobako, tmp_path: Path) -> None:
    build(machine, tmp_path, STEPS, "--output", "type=cacheonly")
    count = len(objects(machine))
    machine("builder", "prune", "-af", "--filter", "until=24h")
    machine("builder", "prune", "-af", "--keep-storage", "1GB")
    machine("builder", "prune", "-af", "--filter", "type=exec.cachemount")
    assert len(objects(machine)) == count
    first = machine("builder", "du", "--format", "{{.ID}}").lines[0]
    removed = machine("builder", "prune", "-af", "--filter", f"id={first}").lines
    assert removed[1].startswith(first)
    assert len(objects(machine)) == count - 1
    machine("builder", "prune", "-af", "--max-used-space", "0")
    assert objects(machine) == []
    machine.fails(
        "builder", "prune", "-f", "--filter", "colour=red", says="invalid filter 'colour'"
    )
    machine.fails("builder", "prune", "-f", "--filter", "until=yesterday", says="until=yesterday")


def test_du_tells_everything(machine: Kobako, tmp_path: Path) -> None:
    build(machine, tmp_path, STEPS)
    told = machine("builder", "du", "--verbose").out
    for line in ("Type:         regular", "Shared:       true", "Reclaimable:  true"):
        assert line in told
    table = machine("buildx", "du").lines
    assert table[0].split() == ["ID", "RECLAIMABLE", "SIZE", "LAST", "ACCESSED"]
    assert table[-1].startswith("Total:")


def test_prune_beside_builds(machine: Kobako, tmp_path: Path) -> None:
    """What a build found in the cache stays as long as the build, whatever is pruned meanwhile."""
    build(machine, tmp_path, STEPS, "--output", "type=cacheonly")
    stop = threading.Event()

    def prune() -> None:
        while not stop.is_set():
            machine("builder", "prune", "-af")

    pruning = threading.Thread(target=prune)
    pruning.start()
    try:
        for number in range(4):
            more = STEPS.replace("CMD", f"RUN cat /one /two && sleep 0.2 && echo {number}\nCMD")
            build(machine, tmp_path, more, tag=f"made:{number}")
    finally:
        stop.set()
        pruning.join()
    assert machine("run", "--rm", "--network", "none", "made:3", "cat", "/two").out == "two"
    assert machine("fsck").code == 0


def test_nothing_of_a_build_is_left_in_scratch(machine: Kobako, tmp_path: Path) -> None:
    stages = "FROM small AS first\nRUN echo first > /first\n"
    stages += "FROM first AS a\nRUN echo a > /a\nFROM first AS b\nRUN echo b > /b\n"
    copies = "FROM small\nCOPY --from=a /a /\nRUN cat /a\nCOPY --from=b /b /\nRUN cat /b\n"
    build(machine, tmp_path, stages + copies)
    assert list((machine.root / "scratch").iterdir()) == []
    (tmp_path / "Dockerfile").write_text("FROM small\nRUN true\nRUN true 2\nRUN cat /none\n")
    assert "cat /none" in machine.fails("build", str(tmp_path)).err
    assert list((machine.root / "scratch").iterdir()) == []


def test_a_cache_mount_travels(machine: Kobako, other: Kobako, tmp_path: Path) -> None:
    build(machine, tmp_path, FILL)
    assert machine("builder", "cache-mount", "ls", "--format", "{{.ID}} {{.InUse}}").out == (
        "/kept false"
    )
    archive = machine("builder", "cache-mount", "export", "/kept").raw
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        own = tar.getmember("./own" if "./own" in tar.getnames() else "own")
        assert (own.uid, own.gid, own.mode) == (7, 8, 0o750)
        assert tar.pax_headers["comment"].startswith("kobako-cache-mount ")
    assert other("builder", "cache-mount", "import", data=archive).out == "/kept"
    told = build(other, tmp_path, SHOW)
    assert "hello" in told and "750:7:8" in told
    assert other("builder", "cache-mount", "rm", "/kept").out == "/kept"
    assert other("builder", "cache-mount", "ls", "--format", "{{.ID}}").out == ""
    other.fails("builder", "cache-mount", "export", "/kept", says="No such cache mount")


def test_any_archive_becomes_a_cache_mount(machine: Kobako, tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, content in (("link", b"from a tar\n"), ("own/x", b"")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    build(machine, tmp_path, FILL)
    machine.fails("builder", "cache-mount", "import", data=data.getvalue(), says="does not say")
    broken = data.getvalue()[:-40]
    assert machine.attempt("builder", "cache-mount", "import", "/kept", data=broken).code == 1
    assert "hello" in build(machine, tmp_path, SHOW)  # what was there stays
    file = tmp_path / "kept.tgz"
    file.write_bytes(data.getvalue())
    assert machine("builder", "cache-mount", "import", "-i", str(file), "/kept").out == "/kept"
    assert "from a tar" in build(machine, tmp_path, SHOW, "--no-cache")


def test_hostile_archives_stay_inside(machine: Kobako, tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        tar.addfile(link)
        for name in ("out/escaped", "../escaped", "/escaped"):
            info = tarfile.TarInfo(name)
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
    machine.attempt("builder", "cache-mount", "import", "evil", data=data.getvalue())
    assert not (tmp_path / "escaped").exists()
    assert not Path("/escaped").exists()
    assert not list(machine.root.rglob("cache-mounts/*/escaped"))


def test_export_waits_for_a_build_that_writes(machine: Kobako, tmp_path: Path) -> None:
    text = (
        "FROM small\nRUN --mount=type=cache,target=/kept,sharing=locked"
        " echo half > /kept/file; sleep 1; echo whole > /kept/file\n"
    )
    (tmp_path / "Dockerfile").write_text(text)
    building = machine.popen("build", str(tmp_path))
    used = ("builder", "cache-mount", "ls", "--format", "{{.InUse}}")
    try:
        eventually(lambda: "true" in machine(*used).out, "the mount is in use")
        assert "exec.cachemount" not in "".join(machine("builder", "prune", "-f").lines)
        archive = machine("builder", "cache-mount", "export", "/kept").raw
    finally:
        assert building.wait(60) == 0, subprocess.list2cmdline(building.args)  # type: ignore[arg-type]  # words
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        name = next(n for n in tar.getnames() if n.endswith("file"))
        content = tar.extractfile(name)
        assert content is not None
        assert content.read() == b"whole\n"
    for stream in (building.stdout, building.stderr):
        if stream is not None:
            stream.close()
