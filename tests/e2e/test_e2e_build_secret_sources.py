"""Sources that want to know who asks: tokens and headers for HTTP and git, keys for ssh."""

from __future__ import annotations

import base64
import contextlib
import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_command import Kobako
from e2e_sources import Builder, Repository, Site


@pytest.fixture
def repository(tmp_path: Path, site: Site) -> Repository:
    made = Repository(tmp_path, site.url)
    made.commit(file="from the repository\n")
    made.publish()
    return made


def secret(place: Path, name: str, text: str) -> tuple[str, str]:
    path = place / f"secret-{len(os.listdir(place))}"
    path.write_text(text)
    return "--secret", f"id={name},src={path}"


def basic(token: str) -> str:
    return "basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()


def test_a_url_is_shown_the_secret_of_its_host(build: Builder, site: Site, tmp_path: Path) -> None:
    site.files = {"/private": b"private\n", "/file.txt": b"moved\n"}
    site.wants = {"/private": "Bearer abc"}
    text = f'FROM python\nADD {site.url}/private /p\nCMD ["cat", "/p"]\n'
    build.fails(text, "HTTP_AUTH_TOKEN_127.0.0.1")
    other = secret(tmp_path, "HTTP_AUTH_TOKEN_example.org", "abc")
    build.fails(text, "invalid response status 401", *other)
    assert build(text, *secret(tmp_path, "HTTP_AUTH_TOKEN_127.0.0.1", "abc")) == "private"
    site.wants = {"/private": "Custom xyz"}
    site.files["/private"] = b"anew\n"
    header = secret(tmp_path, "HTTP_AUTH_HEADER_127.0.0.1", "Custom xyz\n")
    assert build(text, *header) == "anew"
    broken = secret(tmp_path, "HTTP_AUTH_HEADER_127.0.0.1", "a\nInjected: yes")
    build.fails(text, "several lines", *broken)


def test_a_secret_is_not_shown_to_another_host(build: Builder, site: Site, tmp_path: Path) -> None:
    site.files = {"/file.txt": b"moved\n"}
    elsewhere = site.url.replace("127.0.0.1", "localhost")
    token = secret(tmp_path, "HTTP_AUTH_TOKEN_127.0.0.1", "abc")
    site.moved = f"{elsewhere}/file.txt"
    text = f'FROM python\nADD {site.url}/moved /p\nCMD ["cat", "/p"]\n'
    assert build(text, *token) == "moved"
    assert site.shown == {"/moved": "Bearer abc", "/file.txt": ""}


def test_a_context_of_a_url_is_shown_it_too(kobako: Kobako, site: Site, tmp_path: Path) -> None:
    site.files = {"/Dockerfile": b'FROM python\nCMD ["echo", "context"]\n'}
    site.wants = {"/Dockerfile": "Bearer abc"}
    url = f"{site.url}/Dockerfile"
    kobako.fails("build", url, says="401")
    token = secret(tmp_path, "HTTP_AUTH_TOKEN_127.0.0.1", "abc")
    kobako("build", "-t", "secret-context", *token, url)
    assert kobako("run", "--rm", "--network", "none", "secret-context").out == "context"


@pytest.mark.needs("git")
def test_a_repository_is_shown_a_token_or_a_header(
    build: Builder, site: Site, repository: Repository, tmp_path: Path
) -> None:
    site.wants = {"/repo.git": basic("abc")}
    host = site.url.removeprefix("http://")
    text = f'FROM python\nADD {repository.url} /in\nCMD ["cat", "/in/file"]\n'
    build.fails(text, "could not read Username")
    assert build(text, *secret(tmp_path, "GIT_AUTH_TOKEN", "abc\n")) == "from the repository"
    wrong = secret(tmp_path, "GIT_AUTH_TOKEN", "wrong")
    its_own = secret(tmp_path, f"GIT_AUTH_TOKEN.{host}", "abc")
    assert build(text, "--no-cache", *wrong, *its_own) == "from the repository"
    foreign = secret(tmp_path, "GIT_AUTH_TOKEN.example.org", "abc")
    build.fails(text, "could not read Username", "--no-cache", *foreign)
    site.wants = {"/repo.git": "Custom xyz"}
    header = secret(tmp_path, "GIT_AUTH_HEADER", "Custom xyz")
    assert build(text, "--no-cache", *header, *wrong) == "from the repository"


@pytest.mark.needs("git")
def test_submodules_come_along_and_see_no_token(
    build: Builder, site: Site, repository: Repository, tmp_path: Path
) -> None:
    (tmp_path / "second").mkdir()
    inner = Repository(tmp_path / "second", site.url)
    inner.commit(inner="inner\n")
    inner.bare = tmp_path / "www" / "inner.git"
    inner.git("init", "-q", "--bare", "-b", "main", str(inner.bare))
    inner.publish()
    repository.git("submodule", "add", "-q", f"{site.url}/inner.git", "below")
    repository.commit()
    repository.publish()
    site.wants = {"/repo.git": basic("abc")}
    site.shown.clear()
    token = secret(tmp_path, "GIT_AUTH_TOKEN", "abc")
    text = f'FROM python\nADD {repository.url} /in\nCMD ["ls", "-A", "/in", "/in/below"]\n'
    assert build(text, *token).split() == [
        "/in:", ".gitmodules", "below", "file", "/in/below:", "inner",
    ]  # fmt: skip
    assert {v for k, v in site.shown.items() if k.startswith("/inner.git")} == {""}
    without = text.replace(".git /in", ".git?submodules=false /in")
    assert build(without, *token).split() == ["/in:", ".gitmodules", "below", "file", "/in/below:"]


class SshServer:
    """Debian's sshd on a port of loopback, for this user, who has to show one key."""

    def __init__(self, place: Path, key: Path) -> None:
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / "host"], check=True
        )
        (place / "allowed").write_text(key.with_suffix(".pub").read_text())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)  # it wants that as root
        (place / "config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {place}/host\nPidFile none\n"
            f"AuthorizedKeysFile {place}/allowed\nStrictModes no\nUsePAM no\n"
            "PasswordAuthentication no\n"
        )
        program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program is not None
        self.process = subprocess.Popen(
            [program, "-D", "-e", "-f", place / "config"],
            stderr=subprocess.PIPE,
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if b"listening on" in line:
                break

    def __enter__(self) -> SshServer:
        return self

    def __exit__(self, *fault: object) -> None:
        self.process.terminate()
        self.process.communicate()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture
def agent(key: Path) -> Iterator[str]:
    """The socket of an agent that has the key."""
    path = f"/tmp/kobako-git-agent-{os.getpid()}"
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it listens
        subprocess.run(["ssh-add", "-q", key], env={"SSH_AUTH_SOCK": path}, check=True)
        yield path
        process.terminate()
    with contextlib.suppress(OSError):
        os.unlink(path)


@pytest.mark.needs("git", "sshd", "ssh", "ssh-agent", "ssh-keygen")
def test_a_repository_over_ssh_with_an_agent_or_a_key(
    build: Builder, repository: Repository, tmp_path: Path, key: Path, agent: str
) -> None:
    with SshServer(tmp_path, key) as server:
        url = f"ssh://{getpass.getuser()}@127.0.0.1:{server.port}{repository.bare}"
        text = f'FROM python\nADD {url} /in\nCMD ["cat", "/in/file"]\n'
        build.fails(text, "Permission denied (publickey")
        assert build(text, "--ssh", f"default={agent}") == "from the repository"
        assert build(text, "--no-cache", "--ssh", f"default={key}") == "from the repository"
        other = f"--no-cache --ssh other={key}".split()
        build.fails(text, "git ls-remote", *other)  # only the default one is for sources
        context = build.kobako("build", "-q", "--ssh", f"default={key}", "-f", "-", url,
                               data=b"FROM scratch\nCOPY file /\n")  # fmt: skip
        assert context.out.startswith("sha256:")
