"""manifest inspect and buildx imagetools: what a registry has, looked at there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from e2e_command import Kobako
from e2e_registry import HubServer

INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def pushed(kobako: Kobako, open_hub: HubServer, tmp_path: Path) -> str:
    """The name of an image of two platforms in a registry."""
    (tmp_path / "file").write_text("1")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY file /\nLABEL a=b\n")
    name = f"{open_hub.address}/looked/at:1"
    kobako("build", "-q", "--platform=linux/amd64,linux/arm64", "-t", name, str(tmp_path))
    kobako("push", "-q", name)
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
    kobako.fails("buildx", "imagetools", "create", name, says="There is inspect")
