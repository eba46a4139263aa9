"""A plain HTTP client of a registry that keeps one connection, and documents to push with it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json["errors"][0]["code"]


class Client:
    """Sends requests as they are, with the credentials given."""

    def __init__(self, address, login: str = "", token: str = "") -> None:
        self.address = address
        self.connection = http.client.HTTPConnection(*address, timeout=30)
        self.auth = {}
        if login:
            basic = base64.b64encode(f"{login}:password-{login}".encode()).decode()
            self.auth = {"Authorization": f"Basic {basic}"}
        if token:
            self.auth = {"Authorization": f"Bearer {token}"}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def __call__(self, method: str, path: str, body=None, **headers: str) -> Answer:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, self.auth | fields)
        return Answer(self.connection.getresponse())

    def push_blob(self, repository: str, data: bytes) -> str:
        digest = digest_of(data)
        answer = self("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data)
        assert answer.status == 201, answer.body
        return digest

    def push_image(self, repository: str, reference: str, layer: bytes, **extra) -> bytes:
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {}}).encode()
        raw = manifest_of(config, [layer], **extra)
        self.push_blob(repository, config)
        self.push_blob(repository, layer)
        path = f"/v2/{repository}/manifests/{reference}"
        answer = self("PUT", path, raw, Content_Type=MANIFEST)
        assert answer.status == 201, answer.body
        return raw


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def describe(data: bytes, media_type: str) -> dict:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def manifest_of(config: bytes, layers: list[bytes], **extra) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": describe(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [describe(x, "application/vnd.oci.image.layer.v1.tar") for x in layers],
        **extra,
    }
    return json.dumps(document, indent=1).encode()
