"""config.json and the helper programs' protocol."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from kobako.errors import Invalid, Unavailable
from kobako.remote.credentials import (
    DOCKER_IO_KEY,
    CredentialFile,
    Credentials,
    registry_domain,
)

ALICE = Credentials("alice", "pass:word")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "docker" / "config.json"


def helper(tmp_path: Path, name: str) -> str:
    """A credential helper that keeps its secrets in one file; its directory."""
    directory = tmp_path / "bin"
    directory.mkdir(exist_ok=True)
    program = directory / f"docker-credential-{name}"
    program.write_text(
        f"""#!/usr/bin/python3
import json, os, sys
path = {str(tmp_path / name)!r}
kept = json.load(open(path)) if os.path.exists(path) else {{}}
verb, data = sys.argv[1], sys.stdin.read()
if verb == "get":
    if data not in kept:
        print("credentials not found in native keychain")
        sys.exit(1)
    print(json.dumps(kept[data]))
elif verb == "store":
    entry = json.loads(data)
    kept[entry["ServerURL"]] = entry
elif verb == "erase":
    kept.pop(data, None)
elif verb == "list":
    print(json.dumps({{k: v["Username"] for k, v in kept.items()}}))
json.dump(kept, open(path, "w"))
"""
    )
    program.chmod(0o755)
    return str(directory)


def test_stored_and_found_and_erased(path: Path) -> None:
    file = CredentialFile(str(path))
    assert not file.get("r.test:5000")
    assert file.set("r.test:5000", ALICE) == str(path)
    assert file.get("r.test:5000") == ALICE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not file.get("r.test")
    assert file.list() == {"r.test:5000": "alice"}
    assert file.erase("r.test:5000") and not file.erase("r.test:5000")
    assert os.listdir(path.parent) == ["config.json"]
    assert "pass:word" not in repr(ALICE)


def test_docker_io_has_its_old_key(path: Path) -> None:
    file = CredentialFile(str(path))
    file.set("docker.io", ALICE)
    assert list(json.loads(path.read_text())["auths"]) == [DOCKER_IO_KEY]
    assert file.get("docker.io") == ALICE
    for name in ("", "docker.io", "index.docker.io", "https://index.docker.io/v1/"):
        assert registry_domain(name) == "docker.io"
    assert registry_domain("http://r.test:5000/v2/") == "r.test:5000"


def test_what_others_wrote_stays(path: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.write_text(
        json.dumps({"psFormat": "x", "auths": {"https://old.test/v1/": {"auth": "YTpi"}}})
    )
    path.parent.mkdir()
    path.symlink_to(real)
    file = CredentialFile(str(path))
    assert file.get("old.test") == Credentials("a", "b")
    file.set("old.test", ALICE)
    file.set("token.test", Credentials("me", "", "an-identity"))
    assert path.is_symlink()
    kept = json.loads(real.read_text())
    assert kept["psFormat"] == "x"
    assert set(kept["auths"]) == {"old.test", "token.test"}
    assert file.get("token.test") == Credentials("me", "", "an-identity")


def test_helpers_keep_secrets(path: Path, tmp_path: Path) -> None:
    bin_dir = helper(tmp_path, "all")
    helper(tmp_path, "one")
    path.parent.mkdir()
    path.write_text('{"credsStore": "all", "credHelpers": {"one.test": "one"}}')
    file = CredentialFile(str(path), bin_dir)
    for domain, kept in (("r.test", "all"), ("one.test", "one"), ("docker.io", "all")):
        assert file.set(domain, ALICE) == ""
        assert file.get(domain) == ALICE
        key = DOCKER_IO_KEY if domain == "docker.io" else domain
        assert json.loads((tmp_path / kept).read_text())[key]["Secret"] == "pass:word"
    assert file.list() == {"r.test": "alice", DOCKER_IO_KEY: "alice"}
    file.set("r.test", Credentials("me", "", "identity"))
    assert file.get("r.test") == Credentials(identity_token="identity")
    assert file.erase("r.test") and not file.get("r.test")
    assert "auths" not in json.loads(path.read_text())
    with pytest.raises(Unavailable, match="docker-credential-all not found"):
        CredentialFile(str(path), "/nonexistent").get("r.test")


def test_a_failing_helper_is_told(path: Path, tmp_path: Path) -> None:
    directory = Path(helper(tmp_path, "bad"))
    path.parent.mkdir()
    path.write_text('{"credsStore": "bad"}')
    file = CredentialFile(str(path), str(directory))
    for text in ("echo 'locked away' >&2; exit 1", "echo nonsense", "echo '{}'"):
        (directory / "docker-credential-bad").write_text(f"#!/bin/sh\ncat >/dev/null\n{text}\n")
        with pytest.raises(Unavailable, match="docker-credential-bad"):
            file.get("r.test")
    path.write_text('{"credsStore": "../bad"}')
    with pytest.raises(Invalid, match="invalid credential helper"):
        file.get("r.test")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"auths": [1]}',
        '{"auths": {"r.test": 5}}',
        '{"auths": {"r.test": {"auth": "%"}}}',
    ],
)
def test_a_broken_file_is_told(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(Invalid, match=r"config\.json"):
        CredentialFile(str(path)).get("r.test")
