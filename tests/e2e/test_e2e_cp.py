"""Files in and out of containers, as docker cp: created, running and stopped ones alike."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest
from e2e_command import Kobako, eventually

from kobako_command import PROGRAM

MAKE = (
    "mkdir -p /d/sub; echo hi > /d/f; echo u > /d/sub/u; chown 12:34 /d/sub/u; ln -s f /d/l; "
    "ln -s sub /d/dl; ln -s /nowhere /d/gone; chown -h 5:6 /d/l; ln -s /d /abs; mkfifo /d/p"
)
WAIT = "; echo ready; exec sleep 1000"


@pytest.fixture(params=["running", "stopped"])
def box(request: pytest.FixtureRequest, kobako: Kobako, name: str) -> str:
    """A container with files of its own, in either state."""
    if request.param == "running":
        return running(kobako, name, MAKE)
    kobako("run", "--name", name, "--network", "none", "python", "sh", "-c", MAKE)
    return name


def running(kobako: Kobako, name: str, script: str, *flags: str) -> str:
    words = ("--name", name, "--network", "none", *flags, "python", "sh", "-c", script + WAIT)
    kobako("run", "-d", *words)
    eventually(lambda: "ready" in kobako("logs", name).lines, "it has made its files")
    return name


def stat(kobako: Kobako, name: str, *paths: str) -> list[str]:
    """`name mode uid:gid` of files in a container that has run and may have ended."""
    show = ("sh", "-c", 'stat -c "%n %a %u:%g" "$@"', "sh", *paths)
    if kobako.show("{{.State.Running}}", name) == "true":
        return kobako("exec", name, *show).lines
    kobako("commit", name, f"{name}:now")
    try:
        return kobako("run", "--rm", "--network", "none", f"{name}:now", *show).lines
    finally:
        kobako("rmi", f"{name}:now")


def names(kobako: Kobako, *words: str) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(kobako("cp", *words, "-").raw)) as tar:
        return [f"{m.name} {m.uid}:{m.gid}" for m in tar.getmembers()]


def test_the_artefacts_of_a_build(kobako: Kobako, name: str, tmp_path: Path) -> None:
    """The pattern of countless scripts."""
    kobako("create", "--name", name, "python", "true")
    assert kobako("cp", f"{name}:/usr/share/doc/base-passwd", str(tmp_path / "out")).said == "\n"
    assert (tmp_path / "out/copyright").stat().st_uid == os.getuid()
    kobako("cp", f"{name}:/etc/passwd", str(tmp_path))
    assert (tmp_path / "passwd").read_text().startswith("root:")
    assert kobako("rm", name).out == name


def test_out(kobako: Kobako, box: str, tmp_path: Path) -> None:
    def out(path: str, target: str, *flags: str) -> None:
        kobako("cp", *flags, f"{box}:{path}", str(tmp_path / target))

    out("/d", "new")
    assert sorted(os.listdir(tmp_path / "new")) == ["dl", "f", "gone", "l", "p", "sub"]
    assert os.readlink(tmp_path / "new/gone") == "/nowhere"
    assert {(p.lstat().st_uid, p.lstat().st_gid) for p in (tmp_path / "new").rglob("*")} == {
        (os.getuid(), os.getgid())
    }
    out("d/", "new")  # relative to the root; once there, into it
    assert (tmp_path / "new/d/sub/u").read_text() == "u\n"
    (tmp_path / "there").mkdir()
    out("/d/.", "there")
    assert (tmp_path / "there/f").read_text() == "hi\n"
    out("/abs/dl/", "followed")
    assert os.listdir(tmp_path / "followed") == ["u"]
    out("/d/l", "link")
    assert os.readlink(tmp_path / "link") == "f"
    out("/d/l", "file", "-L")
    assert (tmp_path / "file").read_text() == "hi\n"
    (tmp_path / "to").symlink_to("target")
    out("/d/f", "to")  # a link as destination is followed, even where it leads to nothing yet
    assert (tmp_path / "target").read_text() == "hi\n" and (tmp_path / "to").is_symlink()


def test_out_as_an_archive(kobako: Kobako, box: str) -> None:
    found = names(kobako, f"{box}:/d")
    assert found[0] == "d 0:0" and {"d/sub/u 12:34", "d/l 5:6", "d/f 0:0"} < set(found)
    assert names(kobako, f"{box}:/d/sub/.") == [". 0:0", "./u 12:34"]
    assert names(kobako, f"{box}:/d/dl") == ["dl 0:0"]
    assert names(kobako, "-L", f"{box}:/d/dl") == ["sub 0:0", "sub/u 12:34"]
    assert names(kobako, f"{box}:/d/l") == ["l 5:6"]


def test_in(kobako: Kobako, box: str, tmp_path: Path) -> None:
    (tmp_path / "t/s").mkdir(parents=True)
    (tmp_path / "t/s/x").write_text("x\n")
    (tmp_path / "t/l").symlink_to("s/x")
    (tmp_path / "f").write_text("f\n")
    (tmp_path / "f").chmod(0o4750)
    (tmp_path / "t/g").touch(mode=0o644)
    kobako("cp", str(tmp_path / "t"), f"{box}:/made")
    kobako("cp", str(tmp_path / "t"), f"{box}:/made")
    kobako("cp", f"{tmp_path}/t/.", f"{box}:d")
    kobako("cp", str(tmp_path / "f"), f"{box}:/d/dl")
    kobako("cp", str(tmp_path / "f"), f"{box}:/d/gone")
    kobako("cp", "-a", str(tmp_path / "t"), f"{box}:/own")
    (tmp_path / "tl").symlink_to("f")
    kobako("cp", str(tmp_path / "tl"), f"{box}:/")
    kobako("cp", "-L", str(tmp_path / "tl"), f"{box}:/read")
    mine = f"{os.getuid()}:{os.getgid()}"
    assert stat(kobako, box, "/made/s/x", "/made/t/l", "/d/g", "/d/sub/f", "/nowhere") == [
        "/made/s/x 644 0:0",
        "/made/t/l 777 0:0",
        "/d/g 644 0:0",
        "/d/sub/f 4750 0:0",
        "/nowhere 4750 0:0",
    ]
    found = stat(kobako, box, "/own/l", "/own/s/x", "/tl", "/read")
    assert found == [f"/own/l 777 {mine}", f"/own/s/x 644 {mine}", "/tl 777 0:0", "/read 4750 0:0"]
    if kobako.show("{{.State.Running}}", box) == "true":
        kobako("restart", "-t", "0", box)
        assert stat(kobako, box, "/own/l") == [f"/own/l 777 {mine}"]
        kobako("cp", str(tmp_path / "f"), f"{box}:/again")  # the start has let go of it


def test_in_from_an_archive(kobako: Kobako, box: str) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as tar:
        for name, kind in (("x/f", tarfile.REGTYPE), ("x/l", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.uid, info.gid, info.linkname = kind, 12, 34, "f"
            tar.addfile(info)
    kobako("cp", "-", f"{box}:/d", data=sink.getvalue())
    assert stat(kobako, box, "/d/x/f", "/d/x/l") == ["/d/x/f 644 12:34", "/d/x/l 777 12:34"]
    both = kobako("cp", f"{box}:/d/x", "-").raw
    kobako("cp", "-", f"{box}:/", data=both)
    assert stat(kobako, box, "/x/l") == ["/x/l 777 12:34"]
    kobako.fails("cp", "-", f"{box}:/d/f", data=both, says=f'"{box}:/d/f" must be a directory')
    kobako.fails("cp", "-", f"{box}:/d", data=b"no archive", says="tar")
    kobako.fails("cp", "-", f"{box}:/d", data=both[:700], says="tar")


def test_what_cannot_be_copied(kobako: Kobako, box: str, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").touch()
    (tmp_path / "x/d").mkdir(parents=True)
    (tmp_path / "x/f").mkdir()
    (tmp_path / "x/d/sub").touch()
    d, f, x = str(tmp_path / "d"), str(tmp_path / "f"), str(tmp_path / "x")

    def fails(says: str, *words: str) -> None:
        kobako.fails("cp", *words, says=says)

    fails(f"Could not find the file /no in container {box}", f"{box}:/no", d)
    fails(f"Could not find the file /no in container {box}", f, f"{box}:/no/f")
    fails("Could not find the file /nowhere in container", "-L", f"{box}:/d/gone", d)
    fails("lstat /d/f/: not a directory", f"{box}:/d/f/", d)
    fails("no such directory", f"{box}:/d/f", f"{d}/no/")
    fails("no such directory", f, f"{box}:/no/")
    fails("cannot copy directory", f"{box}:/d", f)
    fails("cannot copy directory", d, f"{box}:/d/f")
    fails('cannot overwrite non-directory "/d/f" with directory "/d"', f"{x}/f", f"{box}:/d")
    fails('cannot overwrite directory "/d/sub" with non-directory "/d"', f"{x}/d/.", f"{box}:/d")
    fails(f'invalid output path: directory "{d}/no" does not exist', f"{box}:/d", f"{d}/no/x")
    fails("got a device", f"{box}:/d/f", "/dev/null")
    fails(f"lstat {d}/no: no such file or directory", f"{d}/no", f"{box}:/")
    fails(f"lstat {f}/: not a directory", f"{f}/", f"{box}:/")
    fails("cannot be empty", f, f"{box}:")
    fails("No such container: nobody", "nobody:/x", d)
    fails("No such container: nobody", f, "nobody:/x")
    fails("copying between containers is not supported", f"{box}:/x", "nobody:/x")
    fails("must specify at least one container source", f, d)
    fails("must specify at least one container source", f"./{box}:x", d)
    fails("source can not be empty", "", d)
    fails("requires exactly 2 arguments", d)


@pytest.mark.parametrize("state", ["created", "running", "exited"])
def test_volumes_are_seen_through(kobako: Kobako, name: str, tmp_path: Path, state: str) -> None:
    (tmp_path / "bound").mkdir()
    (tmp_path / "bound/b").write_text("b\n")
    (tmp_path / "f").write_text("f\n")
    flags = ("-v", f"{tmp_path}/bound:/bound", "-v", "/anonymous", "-v", f"{tmp_path}/f:/fixed:ro")
    flags = (*flags, "-v", f"{tmp_path}/bound:/fixed-too:ro", "--read-only")
    words = ("--name", name, "--network", "none", *flags, "python", "sleep", "1000")
    kobako(*(("run", "-d") if state != "created" else ("create",)), *words)
    if state == "exited":
        kobako("stop", "-t", "0", name)
    kobako("cp", f"{name}:/bound/b", str(tmp_path / "copied"))
    assert (tmp_path / "copied").read_text() == "b\n"
    kobako("cp", f"{name}:/fixed", str(tmp_path / "copied"))
    assert (tmp_path / "copied").read_text() == "f\n"
    kobako("cp", str(tmp_path / "f"), f"{name}:/bound/new")
    assert (tmp_path / "bound/new").read_text() == "f\n"
    kobako("cp", str(tmp_path / "f"), f"{name}:/anonymous")
    assert names(kobako, f"{name}:/anonymous/.") == [". 0:0", "./f 0:0"]
    denied = {"/etc/x": "container rootfs", "/fixed-too/x": "mounted volume"}
    for path, what in denied.items():
        says = f"{what} is marked read-only"
        kobako.fails("cp", str(tmp_path / "f"), f"{name}:{path}", says=says)
    kobako("cp", f"{name}:/bound", str(tmp_path / "whole"))
    assert sorted(os.listdir(tmp_path / "whole")) == ["b", "new"]
    kobako("rm", "-fv", name)


def test_what_is_mounted_for_processes_is_not_there(
    kobako: Kobako, name: str, tmp_path: Path
) -> None:
    running(kobako, name, "echo x > /dev/shm/x", "--tmpfs", "/t")
    assert names(kobako, f"{name}:/proc") == ["proc 0:0"]
    assert names(kobako, f"{name}:/t") == ["t 0:0"]
    assert "dev/shm/x 0:0" not in names(kobako, f"{name}:/dev")
    kobako.fails("cp", f"{name}:/proc/self/environ", str(tmp_path), says="Could not find")


def test_links_of_a_container_stay_in_it(kobako: Kobako, name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "f").write_text("the user's own")
    up = "../" * 30
    script = f"ln -s {secret} /a; ln -s {up}{secret} /b; ln -s /proc/1/root{secret} /c"
    running(kobako, name, script)
    (tmp_path / "in").write_text("in")
    for _ in range(2):
        for link in "abc":
            for path in (f"/{link}/f", f"/{link}/.", f"/{link}/"):
                kobako.fails("cp", f"{name}:{path}", str(tmp_path / "out"), says="Could not find")
                kobako.fails("cp", str(tmp_path / "in"), f"{name}:{path}f", says="o")
            kobako.fails("cp", "-L", f"{name}:/{link}", "-", says="Could not find")
            kobako.attempt("cp", str(tmp_path / "in"), f"{name}:/{link}")
        kobako("stop", "-t", "0", name)
    assert os.listdir(secret) == ["f"] and (secret / "f").read_text() == "the user's own"


def test_a_container_cannot_win_a_race(kobako: Kobako, name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    (secret / "e").mkdir(parents=True)
    (secret / "e/f").write_text("the user's own")
    script = (
        "mkdir -p /d/e /x; echo inside > /d/e/f; echo ready; "
        f"while :; do mv /d/e /x/e; ln -s {secret}/e /d/e; rm /d/e; mv /x/e /d/e; done"
    )
    kobako("run", "-d", "--name", name, "--network", "none", "python", "sh", "-c", script)
    eventually(lambda: kobako("logs", name).out == "ready")
    (tmp_path / "in").write_text("in")
    got = 0
    for turn in range(12):
        out = tmp_path / f"out{turn}"
        kobako.attempt("cp", f"{name}:/d/e/f", str(out))
        if out.is_file():
            got += out.read_text() == "inside\n"
        kobako.attempt("cp", f"{name}:/d", str(tmp_path / f"tree{turn}"))
        kobako.attempt("cp", str(tmp_path / "in"), f"{name}:/d/e/new")
    texts = {p.read_text() for p in tmp_path.glob("out*")}
    texts |= {p.read_text() for p in tmp_path.glob("tree*/e/f") if not p.parent.is_symlink()}
    assert texts <= {"inside\n"}
    assert os.listdir(secret / "e") == ["f"]


def test_ten_at_once(kobako: Kobako, name: str, tmp_path: Path) -> None:
    kobako("create", "--name", name, "--network", "none", "python", "sh", "-c", "cat /n/*")
    (tmp_path / "n").mkdir()
    kobako("cp", str(tmp_path / "n"), f"{name}:/n")
    for turn in range(10):
        (tmp_path / f"f{turn}").write_text(f"{turn}\n")
    under_way = [kobako.popen("cp", str(tmp_path / f"f{t}"), f"{name}:/n") for t in range(10)]
    started = kobako.popen("start", "-a", name)  # meanwhile
    said = [process.communicate() for process in (*under_way, started)]
    assert [p.returncode for p in under_way] == [0] * 10, said
    assert sorted(kobako("start", "-a", name).lines) == [str(t) for t in range(10)]


def test_interrupted(kobako: Kobako, name: str) -> None:
    kobako("create", "--name", name, "--network", "none", "python", "ls", "/tmp")
    process = kobako.popen("cp", "-", f"{name}:/tmp", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(tarfile.TarInfo("first").tobuf())
    process.stdin.flush()
    state = Path(kobako.root) / "containers" / kobako.show("{{.Id}}", name)
    eventually(lambda: _locked(state), "it has the container")
    process.send_signal(signal.SIGINT)
    process.stdin.close()
    assert process.wait(30) == 130
    process.stdout.close()  # type: ignore[union-attr]  # both are pipes
    process.stderr.close()  # type: ignore[union-attr]
    assert kobako("start", "-a", name).said.strip() in ("", "first")


def _locked(path: Path) -> bool:
    import fcntl

    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def test_a_reader_that_goes_away(kobako: Kobako, box: str) -> None:
    process = kobako.popen("cp", f"{box}:/usr", "-")
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.read(5) == b"usr/\0"
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


def test_on_a_terminal_it_says_how_much(kobako: Kobako, name: str, tmp_path: Path) -> None:
    kobako("create", "--name", name, "python", "true")
    (tmp_path / "f").write_text("hello")
    terminal = kobako.spawn("cp", str(tmp_path / "f"), f"{name}:/f")
    terminal.expect_exact(f"Successfully copied 2.05kB to {name}:/f\r\n")
    terminal.wait()
    terminal.close()
    said = kobako("cp", "--quiet=false", f"{name}:/f", str(tmp_path / "g"))
    assert said.err == f"Successfully copied 2.05kB to {tmp_path}/g" and said.out == ""
    terminal = kobako.spawn("cp", "-q", f"{name}:/f", str(tmp_path / "g"))
    assert terminal.read() == ""
    terminal.close()


def test_odd_names_and_contents(kobako: Kobako, box: str, tmp_path: Path) -> None:
    odd = ["日本語", "a b\n", "c:d", "-", "é" * 120]
    (tmp_path / "odd").mkdir()
    for each in odd:
        (tmp_path / "odd" / each).write_text(each)
    raw = os.fsencode(tmp_path) + b"/odd/\xff"
    with open(raw, "wb"):
        pass
    with open(tmp_path / "odd/sparse", "wb") as file:
        file.truncate(3 << 30)
    (tmp_path / "odd/shut").mkdir()
    (tmp_path / "odd/shut/f").write_text("f")
    (tmp_path / "odd/shut").chmod(0o555)
    kobako("cp", str(tmp_path / "odd"), f"{box}:/日")
    kobako("cp", f"{box}:日", str(tmp_path / "back"))
    back = set(os.listdir(tmp_path / "back"))
    assert back == {*odd, os.fsdecode(b"\xff"), "sparse", "shut"}
    assert (tmp_path / "back/a b\n").read_text() == "a b\n"
    sparse = (tmp_path / "back/sparse").stat()
    assert sparse.st_size == 3 << 30 and sparse.st_blocks < 1 << 11
    assert (tmp_path / "back/shut").stat().st_mode & 0o777 == 0o555
    for each in ("back", "odd"):
        (tmp_path / each / "shut").chmod(0o755)
    kobako("cp", f"{box}:日/c:d", str(tmp_path / "e"))
    assert (tmp_path / "e").read_text() == "c:d"


@pytest.mark.only("user")
def test_the_users_own_rights_count(kobako: Kobako, box: str, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s/f").touch(mode=0)
    says = f"open {tmp_path}/s/f: permission denied"
    kobako.fails("cp", str(tmp_path / "s"), f"{box}:/", says=says)
    (tmp_path / "shut").mkdir(mode=0o555)
    says = f"{tmp_path}/shut/f: permission denied"
    kobako.fails("cp", f"{box}:/d/f", str(tmp_path / "shut"), says=says)


@pytest.mark.only("root")
def test_a_full_disk_is_named(kobako: Kobako, name: str, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "big").write_bytes(bytes(300_000))
    kobako("create", "--name", name, "-v", f"{tmp_path}/small:/v", "python", "true")
    kobako("cp", str(tmp_path / "big"), f"{name}:/big")
    mounted = f"mount -t tmpfs -o size=64k none {tmp_path}/small && exec {' '.join(PROGRAM)} cp "
    for words, says in (
        (f"{tmp_path}/big {name}:/v", "/v/big: no space left on device"),
        (f"{name}:/big {tmp_path}/small", f"{tmp_path}/small/big: no space left on device"),
    ):
        argv = ["unshare", "-m", "sh", "-c", mounted + words]
        said = subprocess.run(argv, env=kobako.environ, capture_output=True, check=False)
        assert (said.returncode, says in said.stderr.decode()) == (1, True), said


def test_a_killed_copy_leaves_nobody_waiting(kobako: Kobako, name: str) -> None:
    kobako("create", "--name", name, "--network", "none", "python", "true")
    process = kobako.popen("cp", "-", f"{name}:/tmp", stdin=subprocess.PIPE)
    state = Path(kobako.root) / "containers" / kobako.show("{{.Id}}", name)
    eventually(lambda: _locked(state), "it has the container")
    process.kill()
    process.communicate()
    kobako("start", "-a", name)


def test_a_paused_container(kobako: Kobako, name: str, tmp_path: Path) -> None:
    running(kobako, name, "echo x > /x")
    kobako("pause", name)
    (tmp_path / "f").write_text("f\n")
    kobako("cp", str(tmp_path / "f"), f"{name}:/f")
    kobako("cp", f"{name}:/x", str(tmp_path / "x"))
    assert (tmp_path / "x").read_text() == "x\n"
    kobako("unpause", name)
    assert kobako("exec", name, "cat", "/f").out == "f"


def test_words_are_completed(kobako: Kobako, name: str) -> None:
    kobako("create", "--name", name, "python", "true")
    assert f"{name}:" in kobako("__complete", "cp", "").lines
    assert "--follow-link" in kobako("__complete", "container", "cp", "-").lines
    assert "cp " in kobako("container", "--help").out
