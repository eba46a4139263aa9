"""Debian's docker-registry as an oracle for statuses and headers."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator

import pytest
from hub_client import MANIFEST, Client, digest_of, manifest_of

CONFIG = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@contextlib.contextmanager
def docker_registry(directory) -> Iterator[Client]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = directory / "registry.yml"
    config.write_text(CONFIG.format(root=directory / "data", port=port))
    command = ["docker-registry", "serve", str(config)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        try:
            while True:
                assert process.poll() is None
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
            with Client(("127.0.0.1", port)) as client:
                yield client
        finally:
            process.kill()


def conversation(client: Client) -> list[tuple]:
    """One series of requests; what a client can rely on of each answer."""
    layer, config = b"a layer" * 100, b"{}"
    raw = manifest_of(config, [layer])
    layer_digest, digest = digest_of(layer), digest_of(raw)
    seen: list[tuple] = []

    def ask(method, path, body=None, show=(), **headers):
        answer = client(method, path, body, **headers)
        code = answer.code if answer.status >= 400 and answer.body else ""
        fields = {name: answer.headers[name] for name in show}
        seen.append((method, path.partition("?")[0][:40], answer.status, code, fields))
        return answer

    def push(data):
        location = ask("POST", "/v2/a/b/blobs/uploads/", show=("Range",)).headers["Location"]
        location = location[location.index("/v2/") :]
        answer = client("PATCH", location, data, Content_Type="application/octet-stream")
        seen.append(("PATCH", answer.status, answer.headers["Range"]))
        location = answer.headers["Location"]
        location = location[location.index("/v2/") :]
        mark = "&" if "?" in location else "?"
        answer = client("PUT", f"{location}{mark}digest={digest_of(data)}")
        seen.append(("PUT", answer.status, answer.headers["Docker-Content-Digest"]))

    content = ("Docker-Content-Digest", "Content-Length", "Content-Type", "ETag")
    ask("GET", "/v2/", show=("Docker-Distribution-API-Version",))
    ask("GET", "/v2/a/b/tags/list")
    ask("GET", "/v2/a/b/manifests/v1")
    push(layer)
    push(config)
    ask("HEAD", f"/v2/a/b/blobs/{layer_digest}", show=content)
    ask("GET", f"/v2/a/b/blobs/{layer_digest}", show=content)
    ask("GET", f"/v2/a/b/blobs/{layer_digest}", show=("Content-Range",), Range="bytes=3-9")
    ask("GET", f"/v2/a/b/blobs/{digest_of(b'none')}")
    ask("GET", "/v2/a/b/blobs/sha256:bad")
    ask("PUT", "/v2/a/b/manifests/v1", raw, ("Docker-Content-Digest",), Content_Type=MANIFEST)
    ask("PUT", "/v2/a/b/manifests/v1", b"no json", Content_Type=MANIFEST)
    ask("PUT", f"/v2/a/b/manifests/{digest_of(b'x')}", raw, Content_Type=MANIFEST)
    ask("GET", "/v2/a/b/manifests/v1", show=content, Accept=MANIFEST)
    ask("HEAD", f"/v2/a/b/manifests/{digest}", show=content, Accept=MANIFEST)
    ask("GET", "/v2/a/b/manifests/none", Accept=MANIFEST)
    ask("GET", "/v2/a/b/tags/list?n=1")
    mount = f"/v2/c/d/blobs/uploads/?mount={layer_digest}&from=a/b"
    ask("POST", mount, show=("Docker-Content-Digest",))
    ask("POST", f"/v2/c/d/blobs/uploads/?mount={digest_of(b'none')}&from=a/b")
    ask("DELETE", f"/v2/a/b/manifests/{digest}")
    ask("GET", "/v2/a/b/manifests/v1", Accept=MANIFEST)
    ask("DELETE", f"/v2/a/b/blobs/{layer_digest}")
    ask("GET", f"/v2/a/b/blobs/{layer_digest}")
    return seen


@pytest.mark.needs("docker-registry")
def test_docker_registry_says_the_same(client, tmp_path):
    with docker_registry(tmp_path) as oracle:
        theirs = conversation(oracle)
    ours = conversation(client)
    assert [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]] == []
