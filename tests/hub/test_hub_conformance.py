"""What the distribution specification and its conformance suite ask for."""

from __future__ import annotations

import hashlib
import json
import uuid

import pytest
from hub_client import INDEX, MANIFEST, describe, digest_of, manifest_of

BLOB = b"the content of a layer" * 1000


def begin(client, repository="a/b"):
    answer = client("POST", f"/v2/{repository}/blobs/uploads/", Content_Length="0")
    assert answer.status == 202
    uuid.UUID(answer.headers["Location"].rpartition("/")[2])
    return answer.headers["Location"]


def test_version(client):
    answer = client("GET", "/v2/")
    assert answer.status == 200
    assert answer.headers["Docker-Distribution-API-Version"] == "registry/2.0"


@pytest.mark.parametrize("data", [BLOB, b""])
def test_post_then_put(client, data):
    location = begin(client)
    answer = client("PUT", f"{location}?digest={digest_of(data)}", data)
    assert answer.status == 201
    pulled = client("GET", answer.headers["Location"])
    assert (pulled.status, pulled.body) == (200, data)
    assert pulled.headers["Docker-Content-Digest"] == digest_of(data)
    assert client("GET", location).status == 404


def test_single_post(client):
    digest = client.push_blob("a/b", BLOB)
    head = client("HEAD", f"/v2/a/b/blobs/{digest}")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(BLOB))
    assert head.headers["Docker-Content-Digest"] == digest


@pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
def test_other_algorithms(client, algorithm):
    digest = f"{algorithm}:{hashlib.new(algorithm, BLOB).hexdigest()}"
    location = begin(client)
    assert client("PATCH", location, BLOB).status == 202
    assert client("PUT", f"{location}?digest={digest}").status == 201
    pulled = client("GET", f"/v2/a/b/blobs/{digest}")
    assert (pulled.body, pulled.headers["Docker-Content-Digest"]) == (BLOB, digest)


def test_chunks_in_order_and_out_of_order(client):
    location, size = begin(client), 9000
    for start in range(0, len(BLOB), size):
        chunk = BLOB[start : start + size]
        wrong = client("PATCH", location, chunk, Content_Range=f"{start + 7}-{start + 6 + size}")
        assert (wrong.status, wrong.code) == (416, "BLOB_UPLOAD_INVALID")
        status = client("GET", location)
        assert status.status == 204
        assert status.headers["Range"] == f"0-{max(0, start - 1)}"
        stated = f"{start}-{start + len(chunk) - 1}"
        answer = client("PATCH", status.headers["Location"], chunk, Content_Range=stated)
        assert answer.status == 202
        assert answer.headers["Range"] == f"0-{start + len(chunk) - 1}"
        location = answer.headers["Location"]
    assert client("PUT", f"{location}?digest={digest_of(BLOB)}").status == 201
    assert client("GET", f"/v2/a/b/blobs/{digest_of(BLOB)}").body == BLOB


def test_last_chunk_in_put_and_its_range(client):
    location = begin(client)
    client("PATCH", location, BLOB[:100], Content_Range="0-99")
    wrong = client("PUT", f"{location}?digest={digest_of(BLOB)}", BLOB, Content_Range="0-21999")
    assert wrong.status == 416
    rest = BLOB[100:]
    stated = f"100-{len(BLOB) - 1}"
    answer = client("PUT", f"{location}?digest={digest_of(BLOB)}", rest, Content_Range=stated)
    assert answer.status == 201


def test_streamed_body(client):
    location = begin(client)
    pieces = iter([BLOB[:5], BLOB[5:9000], BLOB[9000:]])
    assert client("PATCH", location, pieces).status == 202
    assert client("PUT", f"{location}?digest={digest_of(BLOB)}").status == 201


def test_wrong_digest(client):
    wrong = digest_of(b"something else")
    for path, method in ((begin(client), "PUT"), ("/v2/a/b/blobs/uploads/", "POST")):
        answer = client(method, f"{path}?digest={wrong}", BLOB)
        assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    assert client("HEAD", f"/v2/a/b/blobs/{wrong}").status == 404
    assert client("HEAD", f"/v2/a/b/blobs/{digest_of(BLOB)}").status == 404


def test_cancel(client):
    location = begin(client)
    assert client("DELETE", location).status == 204
    answer = client("PATCH", location, BLOB)
    assert (answer.status, answer.code) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_an_upload_belongs_to_its_repository(client):
    location = begin(client).replace("/a/b/", "/other/b/")
    assert client("PATCH", location, BLOB).code == "BLOB_UPLOAD_UNKNOWN"


@pytest.mark.parametrize(
    ("header", "status", "expected"),
    [
        ("bytes=0-9", 206, BLOB[:10]),
        ("bytes=21990-", 206, BLOB[21990:]),
        ("bytes=-7", 206, BLOB[-7:]),
        ("bytes=5-999999999", 206, BLOB[5:]),
        ("bytes=9-5", 200, BLOB),
        ("lines=1-2", 200, BLOB),
        ("bytes=1-2,4-5", 200, BLOB),
        ("bytes=22000-", 416, None),
    ],
)
def test_ranges(client, header, status, expected):
    digest = client.push_blob("a/b", BLOB)
    answer = client("GET", f"/v2/a/b/blobs/{digest}", Range=header)
    assert answer.status == status
    if expected is not None:
        assert answer.body == expected
    if status == 206:
        first = BLOB.index(expected) if header != "bytes=-7" else len(BLOB) - 7
        assert answer.headers["Content-Range"].startswith(f"bytes {first}-") or "2199" in header
    if status == 416:
        assert answer.headers["Content-Range"] == f"bytes */{len(BLOB)}"


def test_mount(client):
    digest = client.push_blob("a/b", BLOB)
    assert client("HEAD", f"/v2/c/d/blobs/{digest}").status == 404
    answer = client("POST", f"/v2/c/d/blobs/uploads/?mount={digest}&from=a/b")
    assert (answer.status, answer.headers["Location"]) == (201, f"/v2/c/d/blobs/{digest}")
    assert client("GET", f"/v2/c/d/blobs/{digest}").body == BLOB
    assert client("POST", f"/v2/e/f/blobs/uploads/?mount={digest}").status == 201
    missing = client("POST", f"/v2/c/d/blobs/uploads/?mount={digest_of(b'none')}&from=a/b")
    assert missing.status == 202
    data = client("PUT", f"{missing.headers['Location']}?digest={digest_of(b'none')}", b"none")
    assert data.status == 201


def test_manifest_round_trip_is_byte_exact(client):
    raw = client.push_image("a/b", "v1", BLOB)
    for reference in ("v1", digest_of(raw)):
        answer = client("GET", f"/v2/a/b/manifests/{reference}", Accept=MANIFEST)
        assert (answer.status, answer.body) == (200, raw)
        assert answer.headers["Content-Type"] == MANIFEST
        assert answer.headers["Docker-Content-Digest"] == digest_of(raw)
        head = client("HEAD", f"/v2/a/b/manifests/{reference}")
        assert (head.status, head.headers["Content-Length"]) == (200, str(len(raw)))
    etag = answer.headers["ETag"]
    assert client("GET", "/v2/a/b/manifests/v1", If_None_Match=etag).status == 304


def test_accept(client):
    raw = client.push_image("a/b", "v1", BLOB)
    entry = describe(raw, MANIFEST) | {"platform": {"os": "linux", "architecture": "amd64"}}
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()
    assert client("PUT", "/v2/a/b/manifests/all", index, Content_Type=INDEX).status == 201
    assert client("GET", "/v2/a/b/manifests/all", Accept=f"{INDEX}, {MANIFEST}").body == index
    assert client("GET", "/v2/a/b/manifests/all").body == index
    assert client("GET", "/v2/a/b/manifests/all", Accept=MANIFEST).body == raw
    assert client("GET", "/v2/a/b/manifests/v1", Accept=INDEX).code == "MANIFEST_UNKNOWN"


def test_tags_pushed_with_a_digest(client):
    raw = client.push_image("a/b", "v1", BLOB)
    path = f"/v2/a/b/manifests/{digest_of(raw)}?tag=one&tag=two"
    answer = client("PUT", path, raw, Content_Type=MANIFEST)
    assert answer.headers.get_all("OCI-Tag") == ["one", "two"]
    assert client("GET", "/v2/a/b/tags/list").json["tags"] == ["one", "two", "v1"]


def test_manifest_by_sha512(client):
    raw = client.push_image("a/b", "v1", BLOB)
    digest = "sha512:" + hashlib.sha512(raw).hexdigest()
    assert client("PUT", f"/v2/a/b/manifests/{digest}", raw).status == 201
    assert client("GET", f"/v2/a/b/manifests/{digest}").body == raw


def test_refused_manifests(client):
    raw = client.push_image("a/b", "v1", BLOB)
    unknown = manifest_of(b"{}", [b"unheard of"])
    schema1 = b'{"schemaVersion": 1, "name": "a/b", "tag": "v1", "fsLayers": []}'
    v1_type = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    cases = [
        ("v2", unknown, MANIFEST, 404, "MANIFEST_BLOB_UNKNOWN"),
        ("v2", b"not json", MANIFEST, 400, "MANIFEST_INVALID"),
        ("v2", b"", MANIFEST, 400, "MANIFEST_INVALID"),
        ("v2", b"[" * 100_000, MANIFEST, 400, "MANIFEST_INVALID"),
        ("v2", b"\xff\xfe{}", MANIFEST, 400, "MANIFEST_INVALID"),
        ("v2", b'{"schemaVersion": 2}', MANIFEST, 400, "MANIFEST_INVALID"),
        ("v2", schema1, v1_type, 400, "MANIFEST_INVALID"),
        ("v2", raw, INDEX, 400, "MANIFEST_INVALID"),
        ("v2", raw, "text/html", 400, "MANIFEST_INVALID"),
        ("sha256:baddigeststring", raw, MANIFEST, 400, "DIGEST_INVALID"),
        (digest_of(b"other"), raw, MANIFEST, 400, "DIGEST_INVALID"),
        ("-bad-tag", raw, MANIFEST, 400, "TAG_INVALID"),
        ("v2", b" " * (4 * 1024 * 1024 + 1), MANIFEST, 413, "SIZE_INVALID"),
    ]
    for reference, body, kind, status, code in cases:
        answer = client("PUT", f"/v2/a/b/manifests/{reference}", body, Content_Type=kind)
        assert (answer.status, answer.code) == (status, code), (reference, body[:40])
    assert client("GET", "/v2/a/b/tags/list").json["tags"] == ["v1"]


def test_foreign_layers_need_not_be_there(client):
    layer = describe(b"elsewhere", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")
    config = client.push_blob("a/b", b"{}")
    document = json.loads(manifest_of(b"{}", [])) | {"layers": [layer]}
    assert document["config"]["digest"] == config
    raw = json.dumps(document).encode()
    assert client("PUT", "/v2/a/b/manifests/v1", raw, Content_Type=MANIFEST).status == 201


def test_tag_pages(client):
    raw = client.push_image("a/b", "v1", BLOB)
    for tag in ("B", "a", "v10", "v2"):
        client("PUT", f"/v2/a/b/manifests/{tag}", raw, Content_Type=MANIFEST)
    everything = ["B", "a", "v1", "v10", "v2"]
    assert client("GET", "/v2/a/b/tags/list").json == {"name": "a/b", "tags": everything}
    zero = client("GET", "/v2/a/b/tags/list?n=0")
    assert (zero.json["tags"], zero.headers["Link"]) == ([], None)
    seen, path = [], "/v2/a/b/tags/list?n=2"
    while path:
        answer = client("GET", path)
        seen += answer.json["tags"]
        link = answer.headers["Link"]
        path = link[1 : link.index(">")] if link else ""
    assert seen == everything
    assert client("GET", "/v2/a/b/tags/list?last=v1").json["tags"] == ["v10", "v2"]
    assert client("GET", "/v2/a/b/tags/list?n=-1").status == 400
    assert client("GET", "/v2/no/such/tags/list").code == "NAME_UNKNOWN"


def test_search(client):
    """As docker's engine asks: it wants the fields of Docker Hub's answers."""
    for name in ("a/python", "b/python", "c"):
        client.push_image(name, "v1", b"layer")
    answer = client("GET", "/v1/search?q=PyTh&n=25")
    assert (answer.status, answer.json["num_results"], answer.json["query"]) == (200, 2, "PyTh")
    assert answer.json["results"][0] == {
        "name": "a/python", "description": "", "star_count": 0,
        "is_official": False, "is_automated": False, "is_trusted": False,
    }  # fmt: skip
    assert [r["name"] for r in answer.json["results"]] == ["a/python", "b/python"]
    assert client("GET", "/v1/search?q=python&n=1").json["num_results"] == 1
    assert client("GET", "/v1/search?q=none").json["results"] == []
    assert client("GET", "/v1/search").json["num_results"] == 3
    assert client("GET", "/v1/search?q=a&n=many").status == 400


def test_catalog_pages(client):
    for name in ("c", "a/b", "b"):
        client.push_blob(name, BLOB)
    assert client("GET", "/v2/_catalog").json == {"repositories": ["a/b", "b", "c"]}
    first = client("GET", "/v2/_catalog?n=2")
    assert first.json["repositories"] == ["a/b", "b"]
    assert first.headers["Link"] == '</v2/_catalog?n=2&last=b>; rel="next"'
    assert client("GET", "/v2/_catalog?n=2&last=b").json["repositories"] == ["c"]


def test_deletes(client):
    raw = client.push_image("a/b", "v1", BLOB)
    client("PUT", "/v2/a/b/manifests/v2", raw, Content_Type=MANIFEST)
    assert client("DELETE", "/v2/a/b/manifests/v1").status == 202
    assert client("GET", "/v2/a/b/manifests/v1").code == "MANIFEST_UNKNOWN"
    assert client("GET", "/v2/a/b/manifests/v2").status == 200
    assert client("DELETE", f"/v2/a/b/manifests/{digest_of(raw)}").status == 202
    assert client("GET", "/v2/a/b/manifests/v2").status == 404
    assert client("DELETE", f"/v2/a/b/manifests/{digest_of(raw)}").status == 404
    client("POST", f"/v2/c/d/blobs/uploads/?mount={digest_of(BLOB)}&from=a/b")
    assert client("DELETE", f"/v2/a/b/blobs/{digest_of(BLOB)}").status == 202
    assert client("GET", f"/v2/a/b/blobs/{digest_of(BLOB)}").code == "BLOB_UNKNOWN"
    assert client("GET", f"/v2/c/d/blobs/{digest_of(BLOB)}").status == 200
    assert client("GET", "/v2/a/b/tags/list").json["tags"] == []


def test_referrers(client):
    subject = client.push_image("a/b", "v1", BLOB)
    path = f"/v2/a/b/referrers/{digest_of(subject)}"
    empty = client("GET", path)
    assert (empty.status, empty.json["manifests"]) == (200, [])
    assert empty.headers["Content-Type"] == INDEX
    extra = {"subject": describe(subject, MANIFEST), "annotations": {"k": "v"}}
    first = client.push_image("a/b", "s1", BLOB, artifactType="x/sbom", **extra)
    second = client.push_image("a/b", "s2", BLOB, **extra)
    answer = client("PUT", "/v2/a/b/manifests/s2", second, Content_Type=MANIFEST)
    assert answer.headers["OCI-Subject"] == digest_of(subject)
    found = {m["digest"]: m for m in client("GET", path).json["manifests"]}
    config_type = "application/vnd.oci.image.config.v1+json"
    assert found == {
        digest_of(raw): describe(raw, MANIFEST) | {"artifactType": kind, "annotations": {"k": "v"}}
        for raw, kind in ((first, "x/sbom"), (second, config_type))
    }
    filtered = client("GET", f"{path}?artifactType=x/sbom")
    assert [m["digest"] for m in filtered.json["manifests"]] == [digest_of(first)]
    assert filtered.headers["OCI-Filters-Applied"] == "artifactType"
    assert client("GET", "/v2/a/b/referrers/sha256:no").status == 400
    client("DELETE", f"/v2/a/b/manifests/{digest_of(first)}")
    assert len(client("GET", path).json["manifests"]) == 1
