"""Registries and their other clients: what we push they read, what they push we run."""

from __future__ import annotations

import json
import subprocess
from base64 import b64encode
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


def test_what_a_pull_and_a_push_say(
    kobako: Kobako, elsewhere: Kobako, registry: str, name: str, small: str
) -> None:
    ours = f"{registry}/said/{name}"
    kobako("tag", small, f"{ours}:1")
    kobako("tag", small, f"{ours}:2")
    refers = f"The push refers to repository [{ours}]"
    said = kobako("push", "-a", ours).lines
    assert said[0] == refers and said.count(refers) == 1
    assert [line.partition(":")[0] for line in said if ": digest: " in line] == ["1", "2"]
    assert not [line for line in said if line.endswith("Waiting")]  # there is one layer
    failed = kobako.fails("push", ours, says=f"tag does not exist: {ours}:latest")
    assert failed.out.splitlines() == ["Using default tag: latest", refers]
    kobako.fails("push", f"{ours}x:1", says=f"not exist locally with the tag: {ours}x")

    said = elsewhere("pull", "-a", ours).lines
    assert said[-2:] == [f"Status: Downloaded newer image for {ours}", ours]
    assert {line for line in said if "Pulling from" in line} == {
        f"{tag}: Pulling from said/{name}" for tag in ("1", "2")
    }
    assert len([line for line in said if line.startswith("Status:")]) == 1
    said = elsewhere("pull", "-a", ours).lines
    assert said[-2] == f"Status: Image is up to date for {ours}"
    assert len(said) == 6  # no layer of an image that is known is told
    assert elsewhere("pull", "-a", "-q", ours).lines == [ours]
    elsewhere.fails("pull", "-a", f"{ours}x", says=f"repository {ours}x not found: name unknown")
    kobako("rmi", f"{ours}:1", f"{ours}:2")


def test_a_login_is_tried_again(kobako: Kobako, hub: HubServer, tmp_path: Path) -> None:
    user, password = hub.account
    config = "--config", str(tmp_path)
    given = "login", "-u", user, "--password-stdin", hub.address
    kobako(*config, *given, data=password.encode())
    again = kobako(*config, "login", hub.address)
    assert again.lines == ["Authenticating with existing credentials...", "Login Succeeded"]
    kept = json.loads((tmp_path / "config.json").read_text())
    kept["auths"][hub.address]["auth"] = b64encode(f"{user}:old".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps(kept))
    failed = kobako.fails(
        *config, "login", hub.address, says="Login did not succeed, error: token for "
    )
    assert "non TTY device" in failed.err
    assert json.loads((tmp_path / "config.json").read_text()) == kept


def test_a_helper_that_is_not_there_hinders_nobody(
    kobako: Kobako, hub: HubServer, small: str, name: str, tmp_path: Path
) -> None:
    """The configuration of another machine, say; docker fetches what anybody may have."""
    (tmp_path / "config.json").write_text('{"credsStore": "of-another-machine"}')
    config = "--config", str(tmp_path)
    user, password = hub.account
    image = f"{hub.address}/{user}/{name}"
    kobako("login", "-u", user, "--password-stdin", hub.address, data=password.encode())
    kobako("tag", small, image)
    kobako("push", image)
    assert kobako(*config, "pull", "-q", image).out == f"{image}:latest"
    kobako.fails(*config, "push", image, says="docker-credential-of-another-machine not found")
    (tmp_path / "config.json").write_text("{")
    assert kobako(*config, "pull", "-q", image).out == f"{image}:latest"
    kobako.fails(*config, "push", image, says="config.json: not JSON")
    kobako("logout", hub.address)
    kobako("rmi", image)
