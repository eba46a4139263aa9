"""Bake files that are fetched: from a repository, an archive, or as one file."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from pathlib import Path

import pytest
from e2e_command import Kobako
from e2e_sources import Repository, Site

BAKE = """
target "default" { tags = ["bake-remote:${BAKE_CMD_CONTEXT == "cwd://" ? "here" : "there"}"] }
target "below" {
  context = "./sub"
  contexts = { top = "." }
  tags = ["bake-remote:below"]
}
target "own" {
  context = "cwd://mine"
  dockerfile-inline = "FROM scratch\\nCOPY own /"
  tags = ["bake-remote:own"]
}
"""


@pytest.fixture
def repository(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> Repository:
    made = Repository(tmp_path, site.url)
    (made.work / "sub").mkdir()
    (made.work / "docker-bake.hcl").write_text(BAKE)
    (made.work / "Dockerfile").write_text("FROM scratch\nCOPY file /\n")
    (made.work / "sub" / "Dockerfile").write_text(
        "FROM scratch\nCOPY --from=top file /\nCOPY deep /\n"
    )
    made.commit(file="file\n", sub__deep="deep\n")
    made.publish()
    here = tmp_path / "here"
    (here / "mine").mkdir(parents=True)
    (here / "mine" / "own").write_text("own\n")
    monkeypatch.chdir(here)
    return made


@pytest.mark.needs("git")
def test_the_targets_of_a_repository(kobako: Kobako, repository: Repository) -> None:
    url = f"{repository.url}#main"
    printed = json.loads(kobako("bake", "--print", url, "default", "below", "own").out)["target"]
    assert printed["default"]["context"] == url
    assert printed["below"]["context"] == f"{url}:sub"
    assert printed["below"]["contexts"] == {"top": url}
    assert printed["own"]["context"] == "mine"
    done = kobako("bake", "--explain", url, "default", "below", "own")
    assert "COPY deep" in done.err
    for tag in ("here", "below", "own"):
        assert kobako("images", "-q", f"bake-remote:{tag}").out
    twice = json.loads(kobako("bake", "--print", url, repository.url).out)["target"]
    assert twice["default"]["tags"] == ["bake-remote:there"]
    kobako.fails("bake", "-f", "none.hcl", url, says="no file none.hcl")
    listed = kobako("bake", "--list=targets", url).lines
    assert [line.split()[0] for line in listed] == ["TARGET", "below", "default", "own"]


@pytest.mark.needs("git")
def test_a_private_repository(kobako: Kobako, repository: Repository, site: Site) -> None:
    token = base64.b64encode(b"x-access-token:abc").decode()
    site.wants = {"/repo.git": f"basic {token}"}
    kobako.fails("bake", repository.url, says="could not read Username")
    environ = {**kobako.environ, "BUILDX_BAKE_GIT_AUTH_TOKEN": "abc"}
    kobako("bake", "--progress=quiet", repository.url, env=environ)


def test_an_archive_and_one_file_alone(
    kobako: Kobako, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {"docker-bake.hcl": BAKE, "Dockerfile": "FROM scratch\nCOPY file /\n", "file": "x"}
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, text in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    site.files = {"/a.tgz": data.getvalue(), "/bake.hcl": b'target "default" { tags = ["alone"] }'}
    kobako("bake", "--progress=quiet", f"{site.url}/a.tgz")
    kobako.fails("bake", f"{site.url}/a.tgz", "below", says="context ./sub of the bake file")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY here /\n")
    (tmp_path / "here").write_text("here\n")
    kobako("bake", "--progress=quiet", f"{site.url}/bake.hcl")
    assert kobako("images", "-q", "alone").out
    kobako.fails("bake", f"{site.url}/nothing.hcl", says="404")
