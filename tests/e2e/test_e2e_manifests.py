"""manifest inspect and buildx imagetools: what a registry has, looked at there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from e2e_command import Kobako
from e2e_registry import DockerRegistry, HubServer

INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def pushed(kobako: Kobako, open_hub: HubServer, tmp_path: Path) -> str:
    """The name of an image of two platforms in a registry; it is not here."""
    (tmp_path / "file").write_text("1")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY file /\nLABEL a=b\n")
    name = f"{open_hub.address}/looked/at:1"
    kobako("build", "-q", "--platform=linux/amd64,linux/arm64", "-t", name, str(tmp_path))
    kobako("push", "-q", name)
    kobako("rmi", name)
    return name


def test_an_index(kobako: Kobako, pushed: str) -> None:
    shown = kobako("manifest", "inspect", pushed)
    assert shown.lines[1] == '   "schemaVersion": 2,'
    index = json.loads(shown.out)
    assert index["mediaType"] == INDEX and len(index["manifests"]) == 2
    first, second = json.loads(kobako("manifest", "inspect", "-v", pushed).out)
    repository = pushed.removesuffix(":1")
    assert first["Ref"] == f"{repository}@{index['manifests'][0]['digest']}"
    assert second["Descriptor"]["platform"] == {"architecture": "arm64", "os": "linux"}
    assert second["OCIManifest"]["layers"][0]["size"] > 0
    raw = kobako("buildx", "imagetools", "inspect", "--raw", pushed).raw
    assert json.loads(raw) == index
    text = kobako("buildx", "imagetools", "inspect", pushed).lines
    assert text[:2] == [f"Name:      {pushed}", f"MediaType: {INDEX}"]
    assert f"  Name:        {repository}@{index['manifests'][1]['digest']}" in text
    assert "  Platform:    linux/arm64" in text
    form = "{{.Manifest.MediaType}} {{range .Manifest.Manifests}}{{.Platform.OS}} {{end}}"
    assert kobako("buildx", "imagetools", "inspect", "--format", form, pushed).out == (
        f"{INDEX} linux linux "
    )
    images = kobako("buildx", "imagetools", "inspect", "--format", "{{json .Image}}", pushed).out
    assert json.loads(images)["linux/arm64"]["config"]["Labels"] == {"a": "b"}


def test_a_manifest(kobako: Kobako, pushed: str) -> None:
    digest = json.loads(kobako("manifest", "inspect", pushed).out)["manifests"][1]["digest"]
    name = f"{pushed.removesuffix(':1')}@{digest}"
    shown = kobako("manifest", "inspect", "--insecure", name)
    assert shown.lines[1] == '\t"schemaVersion": 2,'
    verbose = json.loads(kobako("manifest", "inspect", "-v", name).out)
    assert verbose["Descriptor"]["digest"] == digest
    assert verbose["Descriptor"]["platform"] == {"architecture": "arm64", "os": "linux"}
    form = "{{.Image.architecture}} {{.Manifest.Digest}}"
    assert (
        kobako("buildx", "imagetools", "inspect", "--format", form, name).out == f"arm64 {digest}"
    )


def test_what_is_not_there(kobako: Kobako, open_hub: HubServer) -> None:
    name = f"{open_hub.address}/no/such:1"
    for words in (("manifest", "inspect"), ("buildx", "imagetools", "inspect")):
        kobako.fails(*words, name, code=1, says=f"no such manifest: {name}")
    kobako.fails("buildx", "imagetools", "merge", name, says="There are create and inspect")


def digests(kobako: Kobako, name: str) -> list[str]:
    index = json.loads(kobako("manifest", "inspect", name).out)
    return [entry["digest"] for entry in index["manifests"]]


def test_an_index_of_what_jobs_have_pushed(
    kobako: Kobako, elsewhere: Kobako, pushed: str, docker_registry: DockerRegistry
) -> None:
    """The way of builds on several machines: each pushes by digest, the last one puts a name to
    them. In the same repository, in another of the registry, and in another registry."""
    repository = pushed.removesuffix(":1")
    amd, arm = digests(kobako, pushed)
    create = ("buildx", "imagetools", "create")
    kobako(*create, "-t", f"{repository}:2", arm, f"{repository}@{amd}")
    assert digests(kobako, f"{repository}:2") == [arm, amd]
    other = pushed.replace("looked/at:1", "another/place:latest")
    far = f"{docker_registry.address}/far/away:3"
    said = kobako(*create, "-t", other, "-t", far, f"{repository}@{amd}", f"{repository}@{arm}")
    assert f"#2 [internal] pushing {far}" in said.err
    for name in (other, far):
        assert digests(kobako, name) == [amd, arm]
        elsewhere("pull", "--platform", "linux/arm64", name)
        assert elsewhere.show("{{.Architecture}}", name) == "arm64"
    kobako(*create, "-t", f"{repository}:3", f"{repository}@{amd}")
    kobako(*create, "-t", f"{repository}:3", "--append", f"{repository}@{arm}")
    assert digests(kobako, f"{repository}:3") == [amd, arm]
    kobako(*create, "-t", f"{repository}:4", "--prefer-index=false", f"{repository}@{amd}")
    assert "layers" in json.loads(kobako("manifest", "inspect", f"{repository}:4").out)
    kobako(*create, "-t", f"{repository}:5", pushed)
    assert kobako("buildx", "imagetools", "inspect", "--raw", f"{repository}:5").out == (
        kobako("buildx", "imagetools", "inspect", "--raw", pushed).out
    )


def test_what_would_be_made_is_shown(kobako: Kobako, pushed: str, tmp_path: Path) -> None:
    create = ("buildx", "imagetools", "create")
    note = "--annotation=index:org.example.of=jobs"
    shown = json.loads(kobako(*create, "--dry-run", note, pushed).out)
    assert shown["annotations"] == {"org.example.of": "jobs"}
    assert [entry["platform"]["architecture"] for entry in shown["manifests"]] == ["amd64", "arm64"]
    (tmp_path / "one.json").write_text(json.dumps(shown["manifests"][1]))
    words = ("--dry-run", "-t", pushed, "-f", str(tmp_path / "one.json"))
    assert json.loads(kobako(*create, *words).out)["manifests"] == shown["manifests"][1:]
    for refused, says in (
        ((pushed,), "can't push without tags"),
        (("--dry-run",), "no sources specified"),
        (("--dry-run", shown["manifests"][0]["digest"]), "whose digest?"),
        (("--dry-run", "{}"), "no descriptor with a digest"),
        (("--dry-run", "--annotation=manifest:a=b", pushed), "only annotations of the index"),
        (("--dry-run", "--annotation=a", pushed), "key=value is expected"),
        (("-t", pushed, pushed + "0"), "not found"),
    ):
        kobako.fails(*create, *refused, code=1, says=says)
