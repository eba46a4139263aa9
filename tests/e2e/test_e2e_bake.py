"""bake: several targets built as one graph, and what a bake file may not do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from e2e_command import Kobako

DOCKERFILE = """FROM python AS common
RUN cat /proc/sys/kernel/random/uuid > /once
FROM common AS app
RUN cp /once /app
FROM common AS tool
COPY file /tool
"""
BAKE = """
variable "TAG" { default = "1" }
group "default" { targets = ["app", "tool"] }
target "app" {
  target = "app"
  tags   = ["bake-app:${TAG}"]
}
target "tool" {
  target = "tool"
  tags   = ["bake-tool:${TAG}", "bake-tool:other"]
  labels = { made = "here" }
}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tmp_path.joinpath("Dockerfile").write_text(DOCKERFILE)
    tmp_path.joinpath("docker-bake.hcl").write_text(BAKE)
    tmp_path.joinpath("file").write_text("content\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_targets_share_one_graph(kobako: Kobako, project: Path) -> None:
    done = kobako("bake", "--no-cache", "--progress=plain", "--metadata-file", "meta.json")
    assert done.err.count("RUN cat /proc/sys/kernel/random/uuid") == 1
    once = kobako("run", "--rm", "bake-app:1", "cat", "/once", "/app").lines
    assert once[0] == once[1]
    assert kobako("run", "--rm", "bake-tool:other", "cat", "/once", "/tool").lines == [
        once[0],
        "content",
    ]
    labels = kobako("inspect", "-f", "{{json .Config.Labels}}", "bake-tool:1").out
    assert json.loads(labels)["made"] == "here"
    told = json.loads((project / "meta.json").read_text())
    assert sorted(told) == ["app", "tool"]
    assert told["app"]["image.name"] == "docker.io/library/bake-app:1"


def test_the_command_line_changes_a_target(kobako: Kobako, project: Path) -> None:
    kobako("buildx", "bake", "app", "--set", "*.tags=bake-set", "--var", "TAG=9")
    assert kobako("images", "-q", "bake-set").out
    kobako("bake", "tool", "--set", "tool.output=type=local,dest=out")
    assert (project / "out/tool").read_text() == "content\n"


def test_beyond_the_directory_it_needs_leave(kobako: Kobako, project: Path) -> None:
    (project / "inner").mkdir()
    (project / "inner/docker-bake.hcl").write_text('target "default" { context = ".." }')
    inner = str(project / "inner")
    refused = kobako.fails("bake", says="additional privileges requested", cwd=inner)
    assert "--allow=fs.read=.." in refused.err
    kobako("bake", "--allow=fs.read=..", "--set=*.target=common", cwd=inner)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("app.ssh=key=nowhere", "target app: --ssh key=nowhere: "),
        ("app.policy=filename=x", "target app: policy is not supported"),
        ("app.cache-to=type=gha", "target app: "),
        ("app.contexts.x=nowhere", "nowhere: no such directory"),
        ("app.attest=type=bom", "target app: --attest type=bom: unknown type 'bom'"),
        ("app.resources.memory=1g", "target app: resources is not supported"),
        ("app.dockerfile=none", "target app: failed to read dockerfile: open none"),
        ("app.shm-size=big", "target app: shm-size: invalid size"),
        ("app.output=type=parcel", "target app: "),
    ],
)
def test_nothing_is_ignored(kobako: Kobako, project: Path, said: str, message: str) -> None:
    refused = kobako.attempt("bake", "app", "--allow=ssh", "--set", said)
    assert refused.code == 1 and message in refused.err, refused


def test_checks_of_every_target(kobako: Kobako, project: Path) -> None:
    (project / "Dockerfile").write_text(DOCKERFILE.replace("AS app", "as app"))
    found = kobako.attempt("bake", "--check")
    assert found.code == 1 and found.out.count("FromAsCasing") == 2
    assert found.lines[0] == "app" and "tool" in found.lines
    document = json.loads(kobako.attempt("bake", "--call=check,format=json").out)
    assert document["target"]["app"]["check"]["warnings"][0]["ruleName"] == "FromAsCasing"


def test_a_target_is_the_context_of_another(kobako: Kobako, project: Path) -> None:
    """What it is based on is built once, in the same graph, and is no image of its own."""
    (project / "app.Dockerfile").write_text(
        "FROM base AS first\nRUN cp /once /copy\nFROM python\nCOPY --from=base /once /once\n"
        "COPY --from=first /copy /copy\nCOPY --from=files /file /file\n"
    )
    (project / "docker-bake.hcl").write_text(
        """
        target "base" {
          target = "common"
          tags   = ["bake-linked:never"]
        }
        target "one" {
          dockerfile = "app.Dockerfile"
          contexts   = { base = "target:base", files = "." }
          tags       = ["bake-linked:one"]
        }
        target "two" {
          inherits = ["one"]
          labels   = { number = "2" }
          tags     = ["bake-linked:two"]
        }
        """
    )
    done = kobako("bake", "one", "two", "--set=base.no-cache=true", "--progress=plain")
    assert done.err.count("RUN cat /proc/sys/kernel/random/uuid") == 1
    found = {
        line
        for tag in ("one", "two")
        for line in kobako("run", "--rm", f"bake-linked:{tag}", "cat", "/once", "/copy").lines
    }
    assert len(found) == 1
    assert not kobako("images", "-q", "bake-linked:never").out


def test_caches_go_through(kobako: Kobako, elsewhere: Kobako, project: Path) -> None:
    kobako("bake", "tool", "--set=*.cache-to=type=local,dest=cache,mode=max")
    assert (project / "cache/index.json").exists()
    kobako("save", "-o", "python.tar", "python")
    elsewhere("load", "-i", "python.tar")
    done = elsewhere("bake", "tool", "--set=*.cache-from=type=local,src=cache", "--progress=plain")
    assert "CACHED" in done.err and "DONE" in done.err
    number = next(x.split()[0] for x in done.err.splitlines() if "RUN cat /proc" in x)
    assert f"{number} CACHED" in done.err
