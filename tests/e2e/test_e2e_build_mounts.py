"""`RUN --mount` on real containers: what is seen, who owns it, what is left of it, who waits."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_command import Kobako, eventually

from kobako.oci import Digest, Manifest
from kobako.store import Store


class Builder:
    """Builds Dockerfiles over `python` in a context of its own; RUN's output is in `.err`."""

    def __init__(self, kobako: Kobako, context: Path) -> None:
        self.kobako = kobako
        self.context = context
        context.mkdir()

    def words(self, dockerfile: str, *flags: str) -> list[str]:
        path = self.context.parent / "Dockerfile"
        path.write_text("FROM python AS first\n" + dockerfile)
        return ["build", "--progress", "plain", "-t", "mounts", "-f", str(path), *flags,
                str(self.context)]  # fmt: skip

    def __call__(self, dockerfile: str, *flags: str) -> str:
        return self.kobako(*self.words(dockerfile, *flags)).err

    def fails(self, dockerfile: str, says: str, *flags: str) -> None:
        self.kobako.fails(*self.words(dockerfile, *flags), says=says)

    def layer_paths(self) -> list[str]:
        """What the layers of the image just built have in them, without the base's."""
        with Store.open(str(self.kobako.root)) as store:
            base, made = (self._layers(store, name) for name in ("python", "mounts"))
            assert made[: len(base)] == base != made
            found = []
            for layer in made[len(base) :]:
                with store.blobs.open(layer) as blob, tarfile.open(fileobj=blob) as tar:
                    found += tar.getnames()
        return found

    def _layers(self, store: Store, name: str) -> list[Digest]:
        row = store.db.images.get(Digest.parse(self.kobako.show("{{.Id}}", name)))
        assert row is not None
        return [layer.digest for layer in Manifest.parse(store.blobs.read(row.manifest)).layers]


@pytest.fixture
def build(kobako: Kobako, tmp_path: Path) -> Builder:
    return Builder(kobako, tmp_path / "context")


def test_a_bound_context_is_seen_as_the_build_sees_it(build: Builder) -> None:
    (build.context / "sub").mkdir()
    for name in ("shown", "sub/shown", "sub/hidden", "hidden"):
        (build.context / name).write_text(name)
    (build.context / ".dockerignore").write_text("**/hidden\n.dockerignore\n")
    text = build(
        "WORKDIR /work\n"
        "RUN --mount=target=src cd src && find . -type f | sort | xargs stat -c 'got %n %u:%g'\n"
        "RUN --mount=type=bind,source=sub/shown,target=/one cat /one && ! echo x > /one\n"
        "RUN --mount=type=bind,source=sub,target=/s,rw rm /s/shown && echo new > /s/new && ls /s\n"
        "RUN --mount=target=/s,rw ls /s /s/sub\n"
        "RUN --mount=type=bind,source=shown,target=/one,rw echo more >> /one && cat /one\n"
    )
    assert "got ./shown 0:0" in text
    assert "got ./sub/shown 0:0" in text
    assert "hidden" not in text.replace("/hidden", "")
    assert sorted(p.name for p in (build.context / "sub").iterdir()) == ["hidden", "shown"]
    assert (build.context / "shown").read_text() == "shown"
    assert not [p for p in build.layer_paths() if p.strip("/") in ("one", "s", "work/src")]


def test_files_of_a_stage_and_of_an_image(build: Builder) -> None:
    dockerfile = (
        "RUN mkdir -p /out/deep && echo 42 > /out/deep/answer && chown -R 7:8 /out\n"
        "FROM python\n"
        "RUN --mount=from=first,source=/out,target=/in"
        " stat -c '%u:%g' /in/deep && cat /in/deep/answer\n"
        "RUN --mount=from=first,source=/out,target=/in,rw rm -r /in/deep && echo gone > /in/x\n"
        "RUN --mount=from=first,source=/out,target=/in ls /in\n"
        "RUN --mount=from=python,source=/etc/hostname,target=/h test -e /h\n"
    )
    text = build(dockerfile)
    assert "7:8" in text
    assert "42" in text
    build.fails(
        "RUN --mount=from=python,source=/nothing,target=/in true\n", says='"/nothing" not found'
    )


def test_a_cache_lasts_and_has_the_owner_asked_for(build: Builder) -> None:
    build("RUN --mount=type=cache,target=/c echo kept > /c/file && chown 5:6 /c/file\n")
    text = build(
        "RUN --mount=type=cache,target=/c cat /c/file && stat -c 'owner %u:%g' /c/file\n"
        "RUN --mount=type=cache,target=/c,ro ! touch /c/more\n"
        "RUN --mount=type=cache,id=/c,target=/elsewhere ls /elsewhere\n"
        "RUN --mount=type=cache,target=/c,uid=1000,gid=50,mode=0700 stat -c 'top %u:%g %a' /c\n"
        "USER 1000:50\n"
        "RUN --mount=type=cache,target=/c,uid=1000,gid=50,mode=0700 touch /c/x && ls -l /c\n"
    )
    assert "kept" in text
    assert "owner 5:6" in text
    assert "top 1000:50 700" in text
    assert not [p for p in build.layer_paths() if p.strip("/") in ("c", "elsewhere")]


def test_a_cache_begins_with_the_files_of_a_stage(build: Builder) -> None:
    text = build(
        "RUN mkdir /seed && echo first > /seed/file && chown 3:4 /seed/file\n"
        "FROM scratch AS few\n"  # a cache begins with a copy of all the stage
        "COPY --from=first /seed /seed\n"
        "FROM python\n"
        "RUN --mount=type=cache,id=seeded,from=few,source=/seed,target=/c"
        " cat /c/file; stat -c '%u:%g' /c/file; echo second > /c/file\n"
        "RUN --mount=type=cache,id=seeded,from=few,source=/seed,target=/c cat /c/file\n"
    )
    assert "first" in text
    assert "3:4" in text
    assert "second" in text


def test_a_locked_cache_is_one_users_and_a_private_one_makes_another(
    build: Builder, tmp_path: Path
) -> None:
    """One build holds the cache until a file of its context says that the other one waits."""
    holder = Builder(build.kobako, tmp_path / "holder")
    command = (
        "echo mine > /c/who; echo held; while ! test -e /go/go; do sleep 0.05; done; rm /c/who"
    )
    go = tmp_path / "go"
    go.mkdir()
    words = holder.words(
        f"RUN --mount=type=cache,id=l,target=/c,sharing=locked --mount=target=/go {command}\n",
        "--no-cache", "--progress", "plain",
    )  # fmt: skip
    with build.kobako.popen(*words) as first:
        assert first.stderr is not None
        eventually(lambda: b"held" in first.stderr.readline())
        see = "ls /c | sed 's/^/seen /'"
        private = f"RUN --mount=type=cache,id=l,target=/c,sharing=private {see}; true\n"
        assert "seen who" not in build(private, "--no-cache").replace("'s/^/seen", "")
        locked = f"RUN --mount=type=cache,id=l,target=/c,sharing=locked {see}; true\n"
        with build.kobako.popen(*build.words(locked, "--no-cache")) as second:
            time.sleep(0.2)
            assert second.poll() is None
            (holder.context / "go").touch()
            _, said = second.communicate(timeout=60)
        assert second.returncode == 0, said
        assert b"seen who" not in said
        first.communicate(timeout=60)


def test_two_that_begin_a_cache_at_once_share_it(build: Builder, tmp_path: Path) -> None:
    """One is stopped in the middle of making it (it cannot get past a FIFO that stands where one of
    its files is to be) until the other has it mounted, or waits."""
    mount = "RUN --mount=type=cache,id=both,target=/c"
    build(f"{mount} true\n")
    places = (build.kobako.root / "cache-mounts").glob("*/*/id")
    (name,) = [path for path in places if path.read_text() == "both"]
    (name.parent / "tree").rmdir()
    name.unlink()
    os.mkfifo(name)
    maker, other = Builder(build.kobako, tmp_path / "maker"), Builder(build.kobako, tmp_path / "b")
    flags = "--no-cache", "--progress", "plain"
    said = tmp_path / "said"
    with build.kobako.popen(*maker.words(f"{mount} touch /c/one\n", *flags)) as first:
        eventually(lambda: list(name.parent.glob("*.new")))
        first.send_signal(signal.SIGSTOP)
        eventually(lambda: state(first.pid) == "T")
        name.unlink()
        wait = "echo begun; until test -e /go/go; do sleep 0.05; done; touch /c/two"
        words = other.words(f"{mount} --mount=target=/go {wait}\n", *flags)
        with said.open("wb") as file, build.kobako.popen(*words, stderr=file) as second:
            eventually(lambda: b" begun\n" in said.read_bytes() or is_waited_for(name.parent))
            first.send_signal(signal.SIGCONT)
            _, told = first.communicate(timeout=60)
            (other.context / "go").touch()
            second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0), (told, said.read_text())
    assert sorted(os.listdir(name.parent / "tree")) == ["one", "two"]


def state(pid: int) -> str:
    """The letter of a process's state in /proc."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def is_waited_for(path: Path) -> bool:
    """Whether somebody waits for a lock of it."""
    inode = path.stat().st_ino
    return any("->" in x and f":{inode} " in x for x in Path("/proc/locks").read_text().split("\n"))


def test_a_lock_dies_with_its_process(build: Builder, tmp_path: Path) -> None:
    dead = Builder(build.kobako, tmp_path / "dead")
    mount = "--mount=type=cache,id=d,target=/c,sharing=locked"
    words = dead.words(f"RUN {mount} echo held; sleep 1000\n", "--no-cache")
    with build.kobako.popen(*words) as process:
        assert process.stderr is not None
        eventually(lambda: b"held" in process.stderr.readline())
        process.kill()
        process.communicate()
    assert "now mine" in build(f"RUN {mount} echo now mine\n", "--no-cache")


def test_a_tmpfs_is_empty_and_bounded(build: Builder) -> None:
    text = build(
        "RUN --mount=type=tmpfs,target=/t,size=64k touch /t/x"
        " && ! head -c 200000 /dev/zero > /t/y && df -k /t | tail -1 && cp /bin/true /t/z; ls /t\n"
        "RUN --mount=type=tmpfs,target=/var/cache/apt ls -A /var/cache/apt | wc -l\n"
    )
    assert " 64 " in text
    assert "x" in text
    assert "t" not in build.layer_paths()


def test_secrets_are_files_and_variables_and_stay_out_of_the_image(
    build: Builder, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    build.kobako.environ["KOBAKO_TEST_SECRET"] = "from the environment"
    flags = ["--secret", f"id=one,src={secret}", "--secret", "id=two,env=KOBAKO_TEST_SECRET"]
    text = build(
        "RUN --mount=type=secret,id=one stat -c '%n %u:%g %a' /run/secrets/one;"
        " sha256sum /run/secrets/one\n"
        "RUN --mount=type=secret,id=one,target=/k/ey,mode=0440,uid=12,gid=34"
        " stat -c '%n %u:%g %a' /k/ey\n"
        "RUN --mount=type=secret,id=two,env=TWO echo length ${#TWO}; ! test -e /run/secrets/two\n"
        "RUN --mount=type=secret,id=missing ! test -e /run/secrets/missing\n",
        *flags,
    )
    del build.kobako.environ["KOBAKO_TEST_SECRET"]
    assert "/run/secrets/one 0:0 400" in text
    assert "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0" in text
    assert "/k/ey 12:34 440" in text
    assert "length 20" in text
    paths = [p.strip("/") for p in build.layer_paths()]
    assert "k" not in paths
    assert "run/secrets" not in paths
    build.fails(
        "RUN --mount=type=secret,id=missing,required=true true\n", says="secret missing: not found"
    )
    build.fails("RUN --mount=type=secret,id=missing,required true\n", says="Dockerfile:2")


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """(the socket of an agent, a key in a file it does not have)."""
    for name in ("first", "second"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", tmp_path / name],
            check=True,
        )
    path = f"/tmp/kobako-agent-{os.getpid()}"
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as process:
        eventually(lambda: os.path.exists(path))
        subprocess.run(
            ["ssh-add", "-q", tmp_path / "first"], env={"SSH_AUTH_SOCK": path}, check=True
        )
        yield path, tmp_path / "second"
        process.terminate()
    shutil.rmtree(path, ignore_errors=True)


LIST_KEYS = """import os, socket
s = socket.socket(socket.AF_UNIX); s.connect(os.environ['SSH_AUTH_SOCK'])
s.sendall(bytes([0, 0, 0, 1, 11])); print('keys', s.recv(4096).split(bytes([0]))[-1])
"""


@pytest.mark.needs("ssh-agent", "ssh-keygen")
def test_an_ssh_agent_and_keys_reach_the_container(build: Builder, agent: tuple[str, Path]) -> None:
    socket, key = agent
    (build.context / "keys.py").write_text(LIST_KEYS)
    steps = (
        "COPY keys.py /\n"
        "RUN --mount=type=ssh stat -c '%F %u:%g %a' $SSH_AUTH_SOCK && python3 /keys.py\n"
        "USER 1234\n"
        "RUN --mount=type=ssh,uid=1234,mode=0600 python3 /keys.py\n"
    )
    text = build(steps, "--ssh", f"default={socket}")
    assert text.count("first") >= 2
    assert "socket 0:0 600" in text
    text = build(
        "COPY keys.py /\n"
        "RUN --mount=type=ssh,id=k,target=/tmp/sock,required"
        " python3 /keys.py; echo $SSH_AUTH_SOCK\n",
        "--ssh", f"k={key}",
    )  # fmt: skip
    assert "second" in text
    assert "/tmp/sock" in text
    build("RUN --mount=type=ssh ! test -e $SSH_AUTH_SOCK\n", "--no-cache")
    build.fails("RUN --mount=type=ssh,required=true true\n", 'no SSH key "default" forwarded')


def test_no_network_and_no_more_rights_than_allowed(build: Builder) -> None:
    text = build("RUN --network=none ls /sys/class/net\nRUN --network=default true\n", "--no-cache")
    assert " lo" in text
    build.fails("RUN --network=host true\n", "--allow network.host", "--no-cache")
    build.fails("RUN --security=insecure true\n", "--allow security.insecure")
    build("RUN --security=insecure mount -t tmpfs none /mnt\n", "--allow", "security.insecure")


def test_devices_that_are_not_there(build: Builder) -> None:
    text = build("RUN --device=vendor.example/class=one echo without\n", "--no-cache")
    assert "without" in text
    build.fails(
        "RUN --device=vendor.example/class=one,required true\n",
        'required device "vendor.example/class=one" is not supported yet',
    )
    said = build("RUN echo limited\n", "--no-cache", "--cgroup-parent", "some.slice")
    assert "limited" in said and "--cgroup-parent is not enforced yet" in said


def test_hosts_limits_and_shared_memory(build: Builder) -> None:
    text = build(
        "RUN grep added /etc/hosts; ulimit -n; ulimit -Hn; df -k /dev/shm | tail -1\n",
        "--no-cache", "--add-host", "added=1.2.3.4", "--add-host", "six-added=[fe80::1]",
        "--add-host", "gate-added:host-gateway", "--ulimit", "nofile=100:200", "--shm-size", "8m",
    )  # fmt: skip
    said = [" ".join(line.split()[2:]) for line in text.splitlines()]
    for line in ("1.2.3.4 added", "fe80::1 six-added", "127.0.0.1 gate-added", "100", "200"):
        assert line in said
    assert any(line.startswith("shm 8192 ") for line in said)
    build.fails("RUN true\n", "invalid IP address", "--no-cache", "--add-host", "x=1.2.3")
