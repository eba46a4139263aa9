"""What goes wrong around a command: streams, limits, directories, files of the user."""

from __future__ import annotations

import functools
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torture_command import FULL, Kobako, Result
from torture_registry import Registry

_BEFORE_US = b"Failed checking if argv[0] is an import path entry\n"
"""What the interpreter says, and goes on, when it is interrupted before it looks for a module."""


def closed(*numbers: int) -> object:
    """A preexec_fn that closes standard streams."""
    return lambda: [os.close(number) for number in numbers]


@pytest.mark.parametrize("numbers", [(0,), (1,), (2,), (0, 1), (0, 1, 2)], ids=str)
def test_closed_standard_streams(base: Kobako, numbers: tuple[int, ...]) -> None:
    for words in (["images"], ["run", "--rm", "base", "ls", "/"], ["ps", "-a"]):
        process = base.popen(*words, preexec_fn=closed(*numbers))
        out, err = process.communicate()
        assert process.returncode == 0, (words, out, err)
    base.whole()


def test_output_to_a_full_device(base: Kobako) -> None:
    with open("/dev/full", "wb") as full:
        said = "No space left on device"
        result = base.refuses("images", stdout=full)
        assert f"write to standard output: {said}" in result.err
        result = base.refuses("save", "base", stdout=full)
        assert f"standard output: {said}" in result.err
        result = base.refuses("save", "-o", "/dev/full", "base")
        assert f"/dev/full: {said}" in result.err
        base("run", "-d", "--name", "up", "base", "sleep", "100")
        for words in (("run", "--rm", "base"), ("run", "--rm", "-t", "base"), ("exec", "up")):
            result = base.attempt(*words, "ls", "/", stdout=full)
            assert (result.code, result.err) == (
                1, f"Error: write the container's output: {said}"
            ), result  # fmt: skip
        base("rm", "-f", "up")
        assert base("ps", "-aq").out == ""
        process = base.popen("images", stdout=full, stderr=full)
        process.communicate()
        assert process.returncode == 1


def test_reader_that_goes_away(base: Kobako) -> None:
    for words in (["save", "base"], ["images", "--help"]):
        process = base.popen(*words)
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        assert process.wait() in (0, 141, 1), err
        assert b"Traceback" not in err and b"unforeseen" not in err


def test_deleted_working_directory(base: Kobako, place: Path) -> None:
    gone = place / "gone"
    gone.mkdir()
    remove = lambda: os.rmdir(gone)  # noqa: E731
    for words in (["images"], ["run", "--rm", "base", "ls", "/"]):
        base(*words, cwd=gone, preexec_fn=remove)
        gone.mkdir()
    refused = base.refuses("build", ".", cwd=gone, preexec_fn=remove)
    assert "the current directory has been removed" in refused.err
    gone.mkdir()
    base.refuses("load", "-i", "x.tar", cwd=gone, preexec_fn=remove)


def test_no_home_and_an_empty_environment(base: Kobako) -> None:
    del base.environ["HOME"], base.environ["PATH"], base.environ["LANG"]
    base("run", "--rm", "base", "ls", "/")
    base("images")


@pytest.mark.only("root")
def test_a_user_without_a_passwd_entry(place: Path) -> None:
    place.chmod(0o755)
    home = place / "home"
    nobody = Kobako(home / "store", home)
    os.chown(home, 54321, 54321)
    del nobody.environ["HOME"]
    who = {"user": 54321, "group": 54321, "extra_groups": []}
    for words in (["image", "from-host", "--name", "base", "ls"], ["run", "--rm", "base", "ls"]):
        nobody(*words, cwd="/", **who)
    nobody("info", cwd="/", **who)


def test_umask_077(kobako: Kobako, place: Path) -> None:
    context = place / "context"
    context.mkdir(mode=0o755)
    (context / "file").write_text("x")
    (context / "file").chmod(0o644)
    (context / "Dockerfile").write_text("FROM base\nCOPY file /a/b/file\nWORKDIR /w\nRUN ls > /l\n")
    stores = {mask: kobako.at(place / f"store{mask:o}") for mask in (0o22, 0o77)}
    for mask, store in stores.items():
        store.environ["SOURCE_DATE_EPOCH"] = "1000000000"
        store("image", "from-host", "--name", "base", "ls", "sh", "cat", umask=mask)
        store("build", "-t", "made", str(context), umask=mask)
        line = "ls -ld /etc/hosts /etc/resolv.conf /dev /a/b/file /w /l; cat /etc/hosts"
        store.said = store("run", "--rm", "--user", "7", "made", "sh", "-c", line, umask=mask)
    assert stores[0o22].layers("made") == stores[0o77].layers("made")
    listing = stores[0o77].said.out
    assert listing.count("-rw-r--r--") == 4 and listing.count("drwxr-xr-x") == 2, listing


STARTS = ("run --rm base ls /", "run -d --rm base ls /", "exec up ls /")
"""Whose processes are several, each of which may be the one that has no room."""


@pytest.mark.parametrize("words", STARTS)
def test_few_descriptors(base: Kobako, words: str) -> None:
    base("run", "-d", "--name", "up", "base", "sleep", "100")
    codes = []
    for limit in range(8, 33):
        few = functools.partial(resource.setrlimit, resource.RLIMIT_NOFILE, (limit, limit))
        result = base.attempt(*words.split(), preexec_fn=few)
        codes.append(result.code)
        _is_told(result, "Too many open files", "`ulimit -n`")
        if limit == 8:
            base.attempt("images", preexec_fn=few)
    assert codes[0] and not codes[-1]
    base("rm", "-f", "up")
    _are_gone(base)
    base.whole()


@pytest.mark.only("user")
@pytest.mark.parametrize("words", STARTS)
def test_few_processes(base: Kobako, words: str) -> None:
    base("run", "-d", "--name", "up", "base", "sleep", "100")
    there = sum(_user_of(pid) == os.getuid() for pid in os.listdir("/proc") if pid.isdigit())
    for limit in range(max(there - 3, 1), there + 8):
        few = functools.partial(resource.setrlimit, resource.RLIMIT_NPROC, (limit, limit))
        result = base.attempt(*words.split(), preexec_fn=few)
        _is_told(result, "Resource temporarily unavailable", "`ulimit -u`")
    base("rm", "-f", "up")
    _are_gone(base)
    base.whole()


def _is_told(result: Result, what: str, remedy: str) -> None:
    """In the words of whichever process met it; 126: whoever stands in for root could not become
    more when the program was to begin."""
    if result.code == 126:
        assert "resource temporarily unavailable" in result.err, result
    elif result.code:
        assert result.code == 125 or (result.code == 1 and result.words[0] == "exec"), result
        assert what in result.err, result
        assert remedy in result.err, result


def _are_gone(base: Kobako) -> None:
    while base("ps", "-aq").out:  # the pytest timeout ends this
        time.sleep(0.02)


def _user_of(pid: str) -> int:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


def test_little_memory(base: Kobako) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (64 << 20, 64 << 20))

    for words in (["images"], ["save", "base"], ["fsck"]):
        base.attempt(*words, preexec_fn=limit)


def test_hardly_any_memory(base: Kobako) -> None:
    """From where the interpreter cannot begin to where there is enough: nothing of ours is shown
    but a message."""
    words = [*base.program, "run", "--rm", "base", "ls", "/"]
    codes = []
    for kib in range(10_000, 34_000, 1_000):
        few = functools.partial(resource.setrlimit, resource.RLIMIT_AS, (kib << 10, kib << 10))
        done = subprocess.run(
            words, env=base.environ, preexec_fn=few, capture_output=True, text=True, timeout=60
        )
        codes.append(done.returncode)
        assert "kobako/" not in done.stderr.replace(sys.executable, ""), (kib, done)
    assert codes[0] and not codes[-1]
    base.whole()


ROOTS = {
    "spaces and signs": "a b:c,d'e\"f%g\\h",
    "unicode": "小箱 ü 🎁",
    "newline": "new\nline",
    "very long": "deep" * 50 + "/" + "deeper" * 30,
}


@pytest.mark.parametrize("name", ROOTS)
def test_odd_data_roots(kobako: Kobako, place: Path, name: str) -> None:
    store = kobako.at(place / ROOTS[name])
    store.make_base()
    assert store("run", "--rm", "base", "ls", "/").out
    store("build", "-t", "made", "-", data=b"FROM base\nRUN mkdir /y && ls -d /y > /z\n")
    store("run", "-d", "--name", "c1", "base", "sleep", "1000")
    store("exec", "c1", "sh", "-c", "mkdir /x; ls -ld /x")
    store("commit", "c1", "committed")
    assert "Up" in store("ps").out and "Paused" not in store("ps").out
    store("rm", "-f", "c1")
    store("run", "--rm", "committed", "ls", "-ld", "/x")
    store.whole()
    store("system", "reset", "-f")


def test_data_root_on_tmpfs(kobako: Kobako) -> None:
    place = Path(f"/dev/shm/kobako-torture-{os.getpid()}")
    store = kobako.at(place)
    try:
        store.make_base()
        store("run", "--name", "c1", "base", "sh", "-c", "mkdir /x; rm /bin/ls; cat /bin/cat > /c")
        assert "D /usr/bin/ls" in store("diff", "c1").out
        store("commit", "c1", "made")
        store("run", "--rm", "made", "cat", "/etc/hostname")
        store.whole()
    finally:
        store("system", "reset", "-f")


@pytest.mark.only("user")
def test_data_root_without_permission(kobako: Kobako) -> None:
    for root in (Path("/proc/x"), Path("/usr/kobako")):
        for words in (["images"], ["run", "x"], ["fsck"], ["system", "prune", "-f"], ["pull", "x"]):
            result = kobako.at(root).refuses(*words)
            assert str(root) in result.err


def test_data_root_that_is_a_file(kobako: Kobako, place: Path) -> None:
    (place / "file").write_text("")
    for words in (["images"], ["run", "x"], ["system", "reset", "-f"]):
        assert str(place / "file") in kobako.at(place / "file").refuses(*words).err


@pytest.mark.only("user")
def test_read_only_data_root(base: Kobako) -> None:
    """Every directory of the store without write permission: messages, and nothing breaks."""
    directories = [base.root, *(p for p in base.root.rglob("*") if p.is_dir())]
    directories = [d for d in directories if d.stat().st_uid == os.getuid()]
    before = {d: d.stat().st_mode for d in directories}
    for directory in directories:
        directory.chmod(0o555)
    (base.root / "kobako.db").chmod(0o444)
    try:
        for words in (
            ["images"], ["ps"], ["run", "--rm", "base", "ls"], ["tag", "base", "b"],
            ["import", "-", "x"], ["image", "prune", "-f"], ["rmi", "base"], ["fsck"],
        ):  # fmt: skip
            base.attempt(*words)
    finally:
        (base.root / "kobako.db").chmod(0o644)
        for directory, mode in before.items():
            directory.chmod(mode & 0o7777)
    base("run", "--rm", "base", "ls")
    base.whole()


def test_empty_files(base: Kobako, place: Path) -> None:
    empty = place / "empty"
    empty.write_bytes(b"")
    for words in (
        ["load", "-i", str(empty)], ["build", "-f", str(empty), str(place)], ["cp", "x", "y"],
    ):  # fmt: skip
        base.refuses(*words)
    base.attempt("import", str(empty), "void")
    base("run", "--rm", "--env-file", str(empty), "base", "ls")
    docker = base.home / ".docker"
    docker.mkdir()
    for content in (b"", b"{", b"[]", b'{"auths": []}', b'{"auths": {"x": 1}}', b"\xff\xfe"):
        (docker / "config.json").write_bytes(content)
        base.attempt("pull", "127.0.0.1:1/x")
        base.attempt("login", "-u", "u", "--password-stdin", "127.0.0.1:1", data=b"p")
        base.attempt("logout", "127.0.0.1:1")
        base("run", "--rm", "base", "ls")
    config = base.home / ".config" / "kobako"
    config.mkdir(parents=True)
    for content in (
        b"",
        b"[",
        b"\xff",
        b"registry = 1\n",
        b"[registry]\nx = 3\n",
        b"registries=[1]",
    ):
        (config / "config.toml").write_bytes(content)
        base.attempt("pull", "127.0.0.1:1/x")
        base("run", "--rm", "base", "ls")


def test_names_that_are_no_utf8(base: Kobako, place: Path) -> None:
    context = place / "context"
    context.mkdir()
    for name in (b"caf\xe9", "小箱".encode(), b"new\nline", b"-rf", b"a\x1b[31mb"):
        (context / os.fsdecode(name)).write_text("x")
    (context / "Dockerfile").write_text("FROM base\nCOPY . /names/\n")
    base("build", "-t", "made", str(context))
    base(
        "run",
        "--name",
        "c1",
        "made",
        "sh",
        "-c",
        'cat /names/* > /all; cat /bin/ls > "/é$(cat /names/-rf)"',
    )
    assert "/éx".encode() in base("diff", "c1").raw
    base("commit", "c1", "again")
    archive = base("export", "c1").raw
    for name in (b"names/caf\xe9", b"names/new\nline", "names/小箱".encode()):
        assert name in archive
    base("run", "--name", "c2", "made", "sh", "-c", "cd /names; rm caf*")
    assert b"D /names/caf\xe9" in base("diff", "c2").raw


def test_an_interrupt_that_a_destructor_swallows_comes_again() -> None:
    script = """
import os, signal, time
from kobako import __main__
from kobako.cli import dispatch

class Ends:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

def main(argv):
    Ends()
    time.sleep(60)

dispatch.main = main
__main__.main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=50)
    assert (done.returncode, done.stderr) == (130, b"")


def test_interrupt_in_the_middle(base: Kobako, registry: Registry, place: Path) -> None:
    """Ctrl-C: the command ends with 130, says nothing ugly, leaves nothing and can be repeated."""
    remote = f"{registry.address}/interrupted/base"
    base("tag", "base", remote)
    base("push", remote)
    archive = place / "base.tar"
    base("save", "-o", str(archive), "base")
    base(
        "run", "--name", "c1", "base", "sh", "-c", "for i in 1 2 3 4 5 6; do cat /bin/* > /$i; done"
    )
    dockerfile = b"FROM base\nRUN cat /bin/* > /1\nRUN cat /bin/* > /2 && rm /1\n"
    works = {
        "pull": (["pull", remote], ["rmi", remote, "base"]),
        "build": (["build", "--no-cache", "-t", "made", "-"], []),
        "load": (["load", "-i", str(archive)], ["rmi", "-f", "base"]),
        "commit": (["commit", "c1", "made"], []),
        "run": (["run", "--rm", "base", "sleep", "0.3"], []),
    }
    # In the short form root and the others share the moments among them.
    delays = (0.02, 0.06, 0.1, 0.15, 0.25)
    if not FULL:
        delays = delays[os.getuid() % 2 :: 2]
    for name, (words, before) in works.items():
        for delay in delays:
            if before:
                base.attempt(*before)
            process = base.popen(*words, stdin=-1, start_new_session=True)
            assert process.stdin is not None
            try:
                process.stdin.write(dockerfile if name == "build" else b"")
                process.stdin.close()
                process.stdin = None
            except BrokenPipeError:
                pass
            time.sleep(delay)
            os.killpg(process.pid, signal.SIGINT)
            _, err = process.communicate()
            told = (name, delay, process.returncode, err)
            starting = process.returncode in (1, -2) and b"kobako/cli/" not in err
            assert starting or process.returncode in (0, 130), told
            assert b"unforeseen" not in err, told
            # The interpreter's own start-up is not ours.
            if not starting and not err.startswith(_BEFORE_US):
                assert b"Traceback" not in err, told
            base.attempt("pull", remote)
            base(*words, data=dockerfile)
        base.whole()
    base("image", "prune", "-f")
    assert base.remains() == []


@pytest.mark.parametrize(
    "where", ["straight.install", "groups._load", "cli.dispatch.run", "cli.dispatch.main"]
)
def test_an_interrupt_at_any_moment_is_quiet(where: str) -> None:
    """While modules are loaded, too: no traceback."""
    module, _, name = where.rpartition(".")
    script = (
        f"import kobako.{module} as room\n"
        "def interrupted(*words): raise KeyboardInterrupt\n"
        f"room.{name} = interrupted\n"
        "from kobako import groups; groups.begin()\n"
        "from kobako.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


@pytest.mark.only("root")
@pytest.mark.parametrize("mode", ["root", "emulated"])
def test_a_machine_that_shows_no_sys(kobako: Kobako, mode: str) -> None:
    kobako("--mode", mode, "image", "from-host", "--name", "base", "ls")
    script = 'umount -l /sys && exec "$@"'
    command = (sys.executable, "-m", "kobako", "--mode", mode, "run", "--rm", "base", "ls", "/sys")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *command],
        env=kobako.environ,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
