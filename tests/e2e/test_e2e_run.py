"""`kobako run`: every flag, the exit codes, the streams."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from e2e_command import PROGRAM, Kobako, eventually

from command_lines import command_lines

REFUSED = [
    (["python", "nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'),
    (["python", "/etc/passwd"], 126, 'exec: "/etc/passwd": permission denied'),
    (["python", "/etc"], 126, 'exec: "/etc": is a directory'),
    (["--pull", "never", "nosuchimage"], 125, "No such image: nosuchimage:latest"),
    (["--nosuchflag", "python"], 125, "unknown flag: --nosuchflag"),
    (["-w", "relative", "python", "true"], 125, "the working directory 'relative' is invalid"),
    (["-u", "nosuch", "python", "true"], 125, "unable to find user nosuch: no matching entries"),
    (["-u", "0:nosuch", "python", "true"], 125, "unable to find group nosuch: no matching"),
    (["-u", "99999999999", "python", "true"], 125, "uids and gids must be in range 0-2147483647"),
    (["-u", "0:4294967295", "python", "true"], 125, "uids and gids must be in range 0-2147483647"),
    (["-e", "=2", "python", "true"], 125, 'invalid argument "=2" for "-e, --env" flag'),
    (["--name", "bad name", "python"], 125, "Invalid container name (bad name), only"),
    (["-v", "/x:rel", "python"], 125, "invalid mount path: 'rel' mount path must be absolute"),
    (["-v", "/a:/b:/c:/d", "python"], 125, "invalid volume specification: '/a:/b:/c:/d'"),
    (["-v", "/etc:/f:zz", "python"], 125, "invalid mode: zz"),
    (["--env-file", "/nonexistent", "python"], 125, "/nonexistent: No such file or directory"),
    (["--tmpfs", "rel", "python"], 125, "'rel' mount path must be absolute"),
    (["--network", "nosuchnet", "python"], 125, "network nosuchnet not found"),
    (["--cap-add", "NOSUCH", "python"], 125, "unknown capability"),
    (["UPPER"], 125, "must be lowercase"),
    (["python:bad:tag"], 125, "invalid reference format"),
]


@pytest.mark.parametrize(("words", "code", "says"), REFUSED, ids=lambda v: str(v)[:30])
def test_refusals_leave_nothing(kobako: Kobako, words: list[str], code: int, says: str) -> None:
    before = kobako("ps", "-aq").out
    kobako.fails("run", "--rm", *words, code=code, says=says)
    assert kobako("ps", "-aq").out == before


def test_no_image_is_a_usage_error(kobako: Kobako) -> None:
    kobako.fails("run", code=1, says='"kobako run" requires at least 1 argument.')


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 3", 3), ("exec 2>&-; sh -c 'kill -9 $$'", 137), ("exit 255", 255), ("true", 0)],
)
def test_exit_code_comes_back(kobako: Kobako, script: str, code: int) -> None:
    result = kobako.fails("run", "--rm", "python", "sh", "-c", script, code=code)
    assert (result.out, result.err) == ("", "")


def test_init_ignores_signals_it_has_no_handler_for(kobako: Kobako) -> None:
    assert kobako.sh("kill -TERM $$; echo survived").out == "survived"


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_no_signal_is_ignored_that_we_were_started_with(
    kobako: Kobako, name: str, tmp_path: Path, verb: str
) -> None:
    """glibc's posix_spawn ignores two that it does not even show: 32 and 33."""
    words = ["run", "--rm", "python"]
    if verb == "exec":
        kobako("run", "-d", "--name", name, "python", "sleep", "100")
        words = ["exec", name]
    out = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    command = ["nohup", *PROGRAM, *words, "grep", "SigIgn", "/proc/self/status"]
    actions = [(os.POSIX_SPAWN_DUP2, out, 1)]
    pid = os.posix_spawnp("nohup", command, kobako.environ, file_actions=actions)
    assert os.waitpid(pid, 0) == (pid, 0)
    os.close(out)
    assert (tmp_path / "out").read_text().split() == ["SigIgn:", "0" * 16]


def test_streams_stay_apart(kobako: Kobako) -> None:
    result = kobako.sh("echo out; echo err >&2")
    assert (result.out, result.err) == ("out", "err")


def test_environment(kobako: Kobako, place: Path) -> None:
    file = place / "env-file"
    file.write_text("# comment\nX=1\nFROM_HOST\nNOT_SET\nY= kept as it is \n\n")
    kobako.environ["FROM_HOST"] = "host value"
    try:
        flags = ["-e", "FROM_HOST", "-e", "NOT_SET", "-e", "A=b=c", "-e", "E=", "-e", "X=2"]
        found = kobako.sh("env | sort", "-h", "box", "--env-file", str(file), *flags).lines
    finally:
        del kobako.environ["FROM_HOST"]
    assert [line for line in found if not line.startswith("PWD=")] == [
        "A=b=c",
        "E=",
        "FROM_HOST=host value",
        "HOME=/root",
        "HOSTNAME=box",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "X=2",
        "Y= kept as it is ",
    ]
    file.write_text("bad key=1\n")
    says = "variable 'bad key' contains whitespaces"
    kobako.fails("run", "--env-file", str(file), "python", code=125, says=says)


def test_users(kobako: Kobako) -> None:
    def ids(*flags: str) -> str:
        return kobako.sh("id; echo $HOME", *flags).out

    assert ids() == "uid=0(root) gid=0(root) groups=0(root)\n/root"
    assert ids("-u", "daemon") == "uid=1(daemon) gid=1(daemon) groups=1(daemon)\n/usr/sbin"
    assert ids("-u", "1:2") == "uid=1(daemon) gid=2(bin) groups=2(bin)\n/usr/sbin"
    assert ids("-u", "1234") == "uid=1234 gid=0(root) groups=0(root)\n/"
    assert ids("-u", "1234:adm") == "uid=1234 gid=4(adm) groups=4(adm)\n/"


@pytest.mark.only("root")
def test_more_groups(kobako: Kobako) -> None:
    out = kobako.sh("id", "--group-add", "adm", "--group-add", "77").out
    assert out == "uid=0(root) gid=0(root) groups=0(root),4(adm),77"


def test_directories_and_names(kobako: Kobako) -> None:
    assert (
        kobako.sh("pwd; ls -ld /new | cut -c1-10", "-w", "/new/dir").out == "/new/dir\ndrwxr-xr-x"
    )
    script = "hostname; cat /etc/hostname; grep foo /etc/hosts"
    out = kobako.sh(script, "--hostname", "box", "--add-host", "foo:1.2.3.4").out
    assert out == "box\nbox\n1.2.3.4\tfoo"
    assert kobako("run", "--rm", "--entrypoint", "/bin/echo", "python", "a", "b").out == "a b"
    assert kobako("run", "--rm", "-i", "python", data=b"print(6 * 7)").out == "42"


def test_volumes(kobako: Kobako, name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text\n")
    source = str(tmp_path)
    kobako.sh("cat /v/file; echo new > /v/made", "-v", f"{source}:/v")
    assert (tmp_path / "made").read_text() == "new\n"
    assert (tmp_path / "made").stat().st_uid == os.getuid()
    words = ["run", "--rm", "-v", f"{source}:/v:ro", "python", "sh", "-c", "echo x > /v/made"]
    kobako.fails(*words, code=2, says="Read-only file system")
    assert kobako.sh("cat /f", "-v", f"{source}/file:/f").out == "text"
    kobako.sh("touch /m/x", "-v", f"{source}/missing/deep:/m")
    assert (tmp_path / "missing/deep/x").exists()
    absent = f"type=bind,source={source}/absent,target=/m"
    kobako.fails("run", "--rm", "--mount", absent, "python", code=125, says="bind source path")
    assert kobako.sh("cat /v/file", "--mount", f"type=bind,src={source},dst=/v,readonly").out


def test_isolation(kobako: Kobako) -> None:
    assert kobako.sh("cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '").out == "lo"
    assert kobako.sh("echo $$; ls /proc | grep -c '^[0-9]'").lines[0] == "1"
    host = os.readlink("/proc/self/ns/net")
    words = ["run", "--rm", "--network", "host", "python", "readlink", "/proc/self/ns/net"]
    assert kobako(*words).out == host
    assert kobako.sh("readlink /proc/self/ns/net").out != host
    for denied in ("mount -t tmpfs x /mnt", "echo 1 > /proc/sys/kernel/hostname"):
        assert kobako.attempt("run", "--rm", "python", "sh", "-c", denied).code
    for place in ("/d", "/dev/d", "/dev/shm/d", "/tmp/d"):
        # A device node may be made (CAP_MKNOD), the device behind it is out of reach.
        script = f"mknod {place} c 1 5; head -c 1 {place} | wc -c"
        assert kobako.attempt("run", "--rm", "python", "sh", "-c", script).out == "0"
    assert kobako.sh("cat /proc/keys | wc -c; ls -A /sys/firmware | wc -l").out == "0\n0"


@pytest.mark.only("root", "mapped")  # an emulated user keeps the real capabilities of its namespace
def test_users_have_no_capabilities(kobako: Kobako) -> None:
    script = "awk '/CapEff/ {print $2}' /proc/self/status"
    assert int(kobako.sh(script, "--user", "1").out, 16) == 0


def test_capabilities(kobako: Kobako) -> None:
    def effective(*flags: str) -> int:
        return int(kobako.sh("awk '/CapEff/ {print $2}' /proc/self/status", *flags).out, 16)

    assert effective() == 0xA80425FB  # docker's fourteen
    assert effective("--cap-drop", "ALL") == 0
    assert effective("--cap-drop", "all", "--cap-add", "chown") == 1
    assert effective("--cap-drop", "CAP_NET_RAW") == 0xA80405FB
    assert effective("--privileged") > 0xA80425FB
    script = "grep NoNewPrivs /proc/self/status"
    assert kobako.sh(script, "--security-opt", "no-new-privileges").out == "NoNewPrivs:\t1"


def test_a_tmpfs_has_an_owner(kobako: Kobako) -> None:
    """In mode C too, where the kernel knows no such id."""
    flags = ["--tmpfs", "/x:uid=1000,gid=1001,mode=700,size=1m", "-u"]
    shown = "stat -c '%u:%g %a' /x; touch /x/y && stat -c %u /x/y; df /x | awk 'END {print $2}'"
    assert kobako.sh(shown, *flags, "1000").lines == ["1000:1001 700", "1000", "1024"]
    refused = kobako.sh("touch /x/y || stat -c '%u:%g' /x", *flags, "1001")
    assert (refused.out, "Permission denied" in refused.err) == ("1000:1001", True)


def test_what_is_read_only_is_that_first(kobako: Kobako) -> None:
    """Before it is asked whether somebody may."""
    script = "chmod 600 /etc/passwd; chown 1000 /etc/passwd; chmod 600 /tmp/x; id -u"
    result = kobako.sh(script, "--read-only", "-u", "1000")
    assert result.out == "1000"
    errors = [line.rpartition(": ")[2] for line in result.err.splitlines()]
    assert errors == ["Read-only file system", "Read-only file system", "No such file or directory"]
    result = kobako.sh("chmod 600 /etc/passwd; chown 1000 /etc/passwd; id -u", "-u", "1000")
    assert result.err.count("Operation not permitted") == 2


def test_read_only_and_tmpfs(kobako: Kobako) -> None:
    result = kobako.attempt("run", "--rm", "--read-only", "python", "touch", "/x")
    assert result.code == 1
    assert "Read-only file system" in result.err
    kobako.sh("touch /tmp/x /dev/shm/y", "--read-only", "--tmpfs", "/tmp:size=1m,mode=1777")
    script = "dd if=/dev/zero of=/t/f bs=64k count=17 2>/dev/null; stat -c %s /t/f"
    assert kobako.sh(script, "--tmpfs", "/t:size=1m").out == str(1 << 20)
    assert kobako.sh("df -k /dev/shm | awk 'END {print $2}'", "--shm-size", "2m").out == "2048"
    assert kobako.sh("ulimit -n", "--ulimit", "nofile=100:200").out == "100"


def test_cidfile(kobako: Kobako, name: str, tmp_path: Path) -> None:
    file = tmp_path / "cid"
    kobako("run", "--name", name, "--cidfile", str(file), "python", "true")
    assert file.read_text() == kobako.show("{{.Id}}", name)
    kobako.fails("run", "--cidfile", str(file), "python", code=125, says="ontainer ID file found")


def test_stdin_is_binary_and_ends(kobako: Kobako) -> None:
    noise = os.urandom(3 << 20)
    assert kobako("run", "--rm", "-i", "python", "cat", data=noise).raw == noise
    assert kobako("run", "--rm", "-i", "python", "cat", data=b"").raw == b""
    assert kobako("run", "--rm", "python", "cat", data=b"not read").raw == b""


def test_a_hundred_megabytes_through(kobako: Kobako, tmp_path: Path) -> None:
    block, count = bytes(range(256)) * 4096, 100
    wanted = hashlib.sha256()
    with kobako.popen("run", "--rm", "-i", "python", "sha256sum", stdin=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        for _ in range(count):
            process.stdin.write(block)
            wanted.update(block)
        process.stdin.close()
        assert process.stdout.read().split()[0].decode() == wanted.hexdigest()
    words = ["run", "--rm", "python", "sh", "-c", "yes 0123456 | head -c 100000000"]
    with open(tmp_path / "out", "wb") as out:
        kobako(*words, stdout=out)
    with open(tmp_path / "out", "rb") as out:
        found = hashlib.file_digest(out, "sha256").hexdigest()
    assert found == hashlib.sha256(b"0123456\n" * 12_500_000).hexdigest()


def test_reader_that_goes_away(kobako: Kobako, name: str) -> None:
    """`kobako run ... | head -1` ends, and soon."""
    command = f"{' '.join(PROGRAM)} run --rm --name {name} python yes | head -1"
    done = subprocess.run(
        ["sh", "-c", command], env=kobako.environ, capture_output=True, timeout=60, check=True
    )
    assert done.stdout == b"y\n"
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_forwarded(kobako: Kobako, number: signal.Signals) -> None:
    word = number.name.removeprefix("SIG")
    script = f"trap 'echo got {word}; exit 9' {word}; echo ready; while :; do sleep 0.05; done"
    with kobako.popen("run", "--rm", "python", "sh", "-c", script) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.stdout.read() == f"got {word}\n".encode()
    assert process.returncode == 9


def test_killed_client_leaves_the_container(kobako: Kobako, name: str) -> None:
    script = "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.05; done"
    words = ["run", "--name", name, "python", "sh", "-c", script]
    with kobako.popen(*words) as process:
        assert process.stdout
        assert process.stdout.readline() == b"line 0\n"
        process.kill()
    assert kobako.show("{{.State.Running}}", name) == "true"
    seen = len(kobako("logs", name).lines)
    eventually(lambda: len(kobako("logs", name).lines) > seen, "its log goes on")
    assert kobako("exec", name, "echo", "alive").out == "alive"


def test_detached(kobako: Kobako, name: str) -> None:
    result = kobako("run", "-d", "--name", name, "python", "sh", "-c", "echo hello; exit 4")
    assert len(result.out) == 64
    assert kobako("wait", name).out == "4"
    assert kobako("logs", name).out == "hello"
    kobako("run", "-d", "--rm", "--name", name + "-gone", "python", "true")
    eventually(lambda: not kobako("ps", "-aq", "-f", f"name={name}-gone").out, "--rm removes it")


@pytest.mark.only("emulated")
def test_exec_without_a_supervisor(kobako: Kobako, name: str) -> None:
    """The emulated root's supervisor is killed: exec says what to do, and leaves no process."""
    script = "import signal; print('ready', flush=True); signal.pause()"  # no call it answers
    identity = kobako("run", "-d", "--name", name, "python", "python3", "-c", script).out
    eventually(lambda: kobako("logs", name).out == "ready", "it is under way")
    record = json.loads((kobako.root / "containers" / identity / "state" / "pid").read_text())
    monitor, first = record["monitor"], record["pid"]
    children = Path(f"/proc/{monitor}/task/{monitor}/children")
    (supervisor,) = {int(pid) for pid in children.read_text().split()} - {first}
    os.kill(supervisor, signal.SIGKILL)
    says = "no ownership supervisor answers"
    kobako.fails("exec", name, "sleep", "7331", code=125, says=says)
    assert not [line for line in command_lines().values() if "7331" in line]


def test_left_behind_with_rm(kobako: Kobako, name: str) -> None:
    """Whoever was to remove the container is killed: it can be started again as it was."""
    script = "cat /made; date > /made; exec sleep 100"
    identity = kobako("run", "-d", "--rm", "--name", name, "python", "sh", "-c", script).out
    eventually(lambda: not kobako.attempt("exec", name, "test", "-s", "/made").code, "it writes")
    made = kobako("exec", name, "cat", "/made").out
    record = (kobako.root / "containers" / identity / "state" / "pid").read_text()
    os.kill(json.loads(record)["monitor"], signal.SIGKILL)
    eventually(lambda: kobako.show("{{.State.Running}}", name) == "false", "it dies with it")
    kobako("start", name)
    eventually(lambda: made in kobako("logs", name).out, "it begins with what it had")
    kobako("stop", "-t", "0", name)
    eventually(lambda: not kobako("ps", "-aq", "-f", f"name={name}").out, "--rm removes it now")


def test_names_are_taken_once(kobako: Kobako, name: str) -> None:
    identity = kobako("create", "--name", name, "python").out
    says = f'Conflict. The container name "/{name}" is already in use by container "{identity}"'
    kobako.fails("create", "--name", name, "python", code=1, says=says)


def test_nothing_runs_under_a_name_that_is_taken(kobako: Kobako, name: str, tmp_path: Path) -> None:
    """By then everything was ready for it."""
    tmp_path.chmod(0o777)
    identity = kobako("create", "--name", name, "python").out
    says = f'Conflict. The container name "/{name}" is already in use by container "{identity}"'
    before = set(os.listdir(kobako.root / "containers"))
    words = ["-v", f"{tmp_path}:/shared", "python", "touch", "/shared/touched"]
    for detach in ((), ("-d",)):
        kobako.fails("run", *detach, "--name", name, *words, code=125, says=says)
    assert set(os.listdir(kobako.root / "containers")) == before
    assert not os.listdir(tmp_path)


def test_what_is_no_text_comes_through_and_stays_usable(kobako: Kobako, name: str) -> None:
    """Arguments are bytes. In documents for others they are text: docker's U+FFFD."""
    odd = "odd=\udcff"
    show = ["python", "sh", "-c", 'printf %s "$odd$0" | od -An -tx1', "\udcfe"]
    kobako("run", "--name", name, "-e", odd, "-l", odd, *show)
    assert kobako("start", "-a", name).out.split() == ["ff", "fe"]
    assert name in kobako("ps", "-a").out
    kobako("commit", name, "odd-image")
    try:
        told = kobako("inspect", "--format", "{{.Config.Env}} {{.Config.Labels}}", "odd-image").out
        assert told.count("odd=\ufffd") == 1 and "odd:\ufffd" in told
        assert kobako("run", "--rm", "odd-image", *show[1:-1]).out.split()[:3] == ["ef", "bf", "bd"]
    finally:
        kobako("rmi", "-f", "odd-image")
    events = kobako("events", "--since", "5m", "--until", "0s", "--filter", f"container={name}").out
    assert "container create" in events
    kobako("rm", name)
