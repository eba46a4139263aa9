"""Registries and their other clients: what we push they read, what they push we run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from e2e_command import Kobako
from e2e_registry import HubServer, skopeo

PLAIN = ("--src-tls-verify=false", "--dest-tls-verify=false")


@pytest.mark.needs("skopeo")
def test_skopeo_and_we_agree(
    kobako: Kobako, elsewhere: Kobako, registry: str, name: str, small: str
) -> None:
    ours, theirs = f"{registry}/agree/{name}", f"{registry}/agree/{name}-theirs"
    kobako("tag", small, ours)
    pushed = kobako("push", ours).lines
    digest = pushed[-1].split()[2]
    seen = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{ours}"))
    assert seen["Digest"] == digest and seen["Os"] == "linux"
    skopeo("copy", "-q", *PLAIN, f"docker://{ours}", f"docker://{theirs}")
    assert elsewhere("pull", "-q", theirs).out == f"{theirs}:latest"
    assert elsewhere("run", "--rm", theirs, "sh", "-c", "echo $((6 * 7))").out == "42"
    again = kobako("push", ours).lines
    assert any(line.endswith("Layer already exists") for line in again)
    kobako("rmi", ours)


@pytest.mark.needs("skopeo", "umoci")
def test_a_saved_layout_is_read(kobako: Kobako, tmp_path: Path, small: str) -> None:
    archive = tmp_path / "layout.tar"
    kobako("save", "--format", "oci", "-o", str(archive), small)
    layout = tmp_path / "layout"
    layout.mkdir()
    subprocess.run(["tar", "-xf", str(archive), "-C", str(layout)], check=True)
    assert json.loads(skopeo("inspect", f"oci:{layout}"))["Layers"]
    done = subprocess.run(
        ["umoci", "ls", "--layout", str(layout)], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip()


def test_accounts_are_asked_for(
    kobako: Kobako, elsewhere: Kobako, hub: HubServer, small: str
) -> None:
    user, password = hub.account
    image = f"{hub.address}/{user}/small"
    elsewhere.fails(
        "login", "-u", user, "--password-stdin", hub.address, data=b"wrong", says="unauthorized: "
    )
    kobako("tag", small, image)
    kobako.fails("push", image, says="authentication required")
    done = kobako("login", "-u", user, "--password-stdin", hub.address, data=password.encode())
    assert done.out == "Login Succeeded"
    kobako("push", image)
    kobako("tag", small, f"{hub.address}/library/small")
    kobako.fails("push", f"{hub.address}/library/small", says="denied")
    assert elsewhere("pull", "-q", image).out == f"{image}:latest"
    assert "Removing login credentials" in kobako("logout", hub.address).out
    kobako("rmi", image, f"{hub.address}/library/small")
