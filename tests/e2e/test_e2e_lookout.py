"""Where root is emulated and a client attends: a supervisor is there from when it is needed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e_command import Kobako, eventually

from kobako.linux.syscalls import machine

pytestmark = pytest.mark.only("emulated")

# Does what it reads, line by line, in Python, and says when it has. Nothing of this asks for more
# than a look.
OBEDIENT = """
import os, sys
print("ready", flush=True)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


class Obedient:
    """A container whose program does what it is told."""

    def __init__(self, kobako: Kobako, name: str, client: subprocess.Popen[bytes]) -> None:
        self._kobako = kobako
        self._name = name
        self.client = client
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.client.stdout
        return self.client.stdout.readline().decode().strip()

    def __call__(self, *statements: str) -> list[str]:
        """Has it execute them; what it printed."""
        assert self.client.stdin
        self.client.stdin.write("; ".join(statements).encode() + b"\n")
        self.client.stdin.flush()
        return [*iter(self._line, "done")]

    @property
    def supervisors(self) -> int:
        """How many processes the monitor has besides the container's first."""
        identity = self._kobako.show("{{.Id}}", self._name)
        state = self._kobako.root / "containers" / identity / "state"
        record = json.loads((state / "pid").read_text())
        children = Path("/proc/{monitor}/task/{monitor}/children".format(**record))
        return len(children.read_text().split()) - 1


@pytest.fixture
def obedient(kobako: Kobako, name: str) -> Iterator[Obedient]:
    with attended(kobako, name) as container:
        yield container


@contextmanager
def attended(kobako: Kobako, name: str, *flags: str, image: str = "python") -> Iterator[Obedient]:
    words = ("run", "-i", "--name", name, *flags, image, "python3", "-Ssc", OBEDIENT)
    with kobako.popen(*words, stdin=subprocess.PIPE) as client:
        container = Obedient(kobako, name, client)
        yield container
        assert client.stdin
        client.stdin.close()
        assert client.wait(timeout=60) == 0


def test_who_only_looks_has_none(obedient: Obedient) -> None:
    said = obedient(
        "print(os.stat('/usr').st_uid, os.lstat('/usr/').st_gid, os.fstat(0).st_uid)",
        "print(os.getuid(), os.getegid(), os.getresuid(), os.getgroups())",
        "print(os.path.exists('/none'), os.path.exists('none'), os.stat('usr/bin').st_uid)",
        "print(os.stat('.').st_uid, os.path.exists('/etc/none/x'), os.access('/', os.W_OK))",
        "print(os.spawnv(os.P_WAIT, '/usr/bin/true', ['true']))",
        "print(open('/etc/passwd').readline()[:5])",
    )
    assert said == ["0 0 0", "0 0 (0, 0, 0) [0]", "False False 0", "0 False True", "0", "root:"]
    assert obedient.supervisors == 0


def test_what_root_makes_needs_none(obedient: Obedient, kobako: Kobako, name: str) -> None:
    said = obedient(
        "os.mkdir('/d'), os.mkdir('/d/e/'), os.mkdir('relative'), os.mkdir('relative/e')",
        "open('/d/file', 'w').close(), open('d/other', 'w').close(), os.symlink('x', 'd/link')",
        "os.mkfifo('/d/fifo'), os.open('/d', os.O_TMPFILE | os.O_WRONLY)",
    )
    assert said == []
    assert obedient.supervisors == 1  # an O_TMPFILE has no name to look at
    assert set(obedient("for n in os.listdir('/d'): print(os.lstat('/d/' + n).st_uid)")) == {"0"}


@pytest.mark.parametrize(
    ("statements", "said", "supervisors"),
    [
        (["open('/made', 'w').close()", "os.chown('/made', 5, 6)"], [], 1),
        (["os.mkdir('/d')", "os.symlink('x', 'd/l')", "print(os.lstat('d/l').st_gid)"], ["0"], 0),
        (["os.setuid(7)", "print(os.getuid(), os.geteuid())"], ["7 7"], 1),
        (["os.setgroups([3, 4])", "print(os.getgroups())"], ["[3, 4]"], 1),
        (["print(os.path.exists('/proc/self/exe'), os.stat('/dev/stdin').st_uid)"], ["True 0"], 1),
        (["print(os.path.exists('/proc/meminfo'), os.path.exists('/dev/null'))"], ["True True"], 0),
        (["os.chdir('usr')", "print(os.stat('bin/id').st_uid)"], ["0"], 0),
        (["os.chdir('usr')", "print(os.stat('../etc').st_uid)"], ["0"], 1),
        (
            ["os.setxattr('/etc', 'user.a', b'b')", "print(os.getxattr('/etc', 'user.a'))"],
            ["b'b'"],
            0,
        ),
        (["print(os.listxattr('/'))"], ["[]"], 1),
        (["os.mknod('/n', 0o20600, 259)", "print(os.stat('/n').st_rdev)"], ["259"], 1),
        (["for _ in range(300): os.stat('/')"], [], 1),
    ],
)
def test_who_asks_for_more_gets_one(
    obedient: Obedient, statements: list[str], said: list[str], supervisors: int
) -> None:
    assert obedient.supervisors == 0
    assert obedient(*statements) == said
    assert obedient.supervisors == supervisors
    if "chown" in statements[-1]:
        assert obedient("print(os.stat('/made').st_uid, os.stat('/made').st_gid)") == ["5 6"]


def test_a_directory_that_gives_its_group(kobako: Kobako, name: str) -> None:
    script = "mkdir /d /p; chown 5:6 /d; chmod 2777 /d /p"
    kobako("run", "--name", name, "python", "sh", "-ec", script)
    kobako("commit", name, name)
    script = "mkdir {0}/e; touch {0}/f; ln -s x {0}/l; stat -c %u:%g {0}/*"
    assert kobako("run", "--rm", name, "sh", "-ec", script.format("/d")).lines == ["0:6"] * 3
    assert kobako("run", "--rm", name, "sh", "-ec", script.format("/p")).lines == ["0:0"] * 3


def test_what_is_recorded_at_files_holds_at_once(kobako: Kobako, name: str) -> None:
    script = (
        "mkdir /d; cp /usr/bin/id /d/id; cp /usr/bin/true /d/true; chown 5:6 /d /d/id; "
        "chmod u+s /d/id; ln -s /d /link"
    )
    kobako("run", "--name", name, "python", "sh", "-ec", script)
    kobako("commit", name, name)
    kobako("run", "--rm", name, "/d/true")
    assert "euid=5" in kobako("run", "--rm", name, "/d/id").out
    assert "euid=5" in kobako("run", "--rm", "-w", "/d", name, "./id").out
    assert kobako("run", "--rm", name, "stat", "-Lc", "%u:%g", "/link").out == "5:6"
    assert kobako("run", "--rm", name, "stat", "-c", "%u:%g", "/link").out == "0:0"
    assert kobako("run", "--rm", "-w", "/d", name, "stat", "-c", "%u:%g", ".").out == "5:6"
    with attended(kobako, name + "-attended", image=name) as container:
        assert container("print(os.stat('/d/true').st_uid)", "fd = os.open('/d', 0)") == ["0"]
        assert container.supervisors == 0
        assert container("print(os.fstat(fd).st_uid)") == ["5"]
        assert container.supervisors == 1


def test_links_with_owners_are_known_at_once(kobako: Kobako, name: str) -> None:
    kobako("run", "--name", name, "python", "sh", "-ec", "ln -s x /link; chown -h 5:6 /link")
    kobako("commit", name, name)
    assert kobako("run", "--rm", name, "stat", "-c", "%u:%g", "/link").out == "5:6"
    with attended(kobako, name + "-attended", image=name) as container:
        assert container.supervisors == 1
    assert kobako.attempt("start", "-a", name).code == 1  # ln: it is there already
    kobako("commit", name, name)
    assert kobako("run", "--rm", name, "stat", "-c", "%u:%g", "/link").out == "5:6"


def test_another_user_has_one_at_once(kobako: Kobako, name: str) -> None:
    with attended(kobako, name, "-u", "1000") as container:
        assert container.supervisors == 1
        assert container("print(os.getuid())") == ["1000"]


def test_addresses_of_nothing(obedient: Obedient) -> None:
    """Whatever is asked, the monitor goes on; EFAULT is the kernel's or the supervisor's to say."""
    numbers = machine().numbers
    calls = [numbers[name] for name in ("newfstatat", "statx", "execve", "openat", "getgroups")]
    said = obedient(
        "import ctypes; call = ctypes.CDLL(None).syscall; big = ctypes.c_ulong",
        f"tried = [call(nr, big(a), big(b), big(c), big(d), 0) for nr in {calls}"
        " for a in (0, 2**64 - 1) for b in (1, 2**63, 2**64 - 1) for c in (64, 2**64 - 1)"
        " for d in (0, 2**64 - 1)]",
        "print(set(tried) <= {-1, 1}, os.stat('/').st_uid)",
    )
    assert said == ["True 0"]


def test_others_come_in(obedient: Obedient, kobako: Kobako, name: str, tmp_path: Path) -> None:
    assert kobako("exec", name, "id", "-u").out == "0"
    assert obedient.supervisors == 1
    assert kobako("exec", "-u", "1000", name, "id", "-u").out == "1000"
    (tmp_path / "file").write_text("x")
    kobako("cp", str(tmp_path / "file"), f"{name}:/file")
    assert obedient("os.chown('/file', 7, 8)", "print(os.stat('/file').st_uid)") == ["7"]
    kobako("commit", name, name)
    assert kobako("run", "--rm", name, "stat", "-c", "%u:%g", "/file").out == "7:8"


def test_it_is_committed_while_it_runs(obedient: Obedient, kobako: Kobako, name: str) -> None:
    kobako("commit", name, name)
    assert obedient("print(os.stat('/').st_uid)") == ["0"]
    kobako("run", "--rm", name, "true")


def test_the_client_is_killed(kobako: Kobako, name: str) -> None:
    script = (
        "echo up; while [ ! -e /go ]; do sleep 0.05; done; chown 5:6 /go; stat -c %u:%g /go;"
        "sleep 100"
    )
    with kobako.popen("run", "--name", name, "python", "sh", "-c", script) as client:
        assert client.stdout
        assert client.stdout.readline() == b"up\n"
        client.kill()
    kobako("exec", name, "touch", "/go")
    eventually(lambda: kobako("logs", name).out == "up\n5:6", "it has gone on")


def test_a_program_that_cannot_be_started(kobako: Kobako, name: str) -> None:
    kobako.fails("run", "--rm", "python", "nothing-of-that-name", code=127, says="not found")
    kobako.fails("run", "--rm", "python", "/etc", code=126, says="is a directory")
    kobako.fails("run", "--rm", "python", "/etc/passwd", code=126, says="permission denied")
