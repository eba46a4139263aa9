"""Hostile requests, many clients at once, and processes that die."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hub_client import MANIFEST, Client, digest_of, manifest_of
from hub_serving import serving

from kobako.hub import Hub, Options
from kobako.oci import Digest

EVIL_NAMES = ["..", "a/../b", "%2e%2e/x", "A", "a//b", "a/", ".a", "a%00b", "a" * 300, "a%0d%0ab"]
SERVE = """
import sys
from kobako.hub import Hub, Options
with Hub.open(sys.argv[1], Options(open=True)) as hub:
    hub.serve_forever("127.0.0.1", 0, on_ready=lambda a: print(a[1], flush=True))
"""


def begin(client, repository="a/b"):
    return client("POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]


@pytest.mark.parametrize("name", EVIL_NAMES)
def test_evil_names(client, name):
    digest = digest_of(b"")
    for method, rest in (
        ("POST", "blobs/uploads/"),
        ("GET", f"blobs/{digest}"),
        ("GET", "manifests/latest"),
        ("PUT", "manifests/latest"),
        ("GET", "tags/list"),
        ("GET", f"referrers/{digest}"),
    ):
        answer = client(method, f"/v2/{name}/{rest}")
        assert answer.status in (400, 404), (method, rest)
        assert answer.json["errors"]


@pytest.mark.parametrize(
    "digest",
    [
        "sha256:../../../../etc/passwd",
        "sha256:..%2f..%2fhub.db",
        "sha256:" + "A" * 64,
        "md5:" + "0" * 32,
        "sha256:" + "0" * 63,
        "sha256",
        ":",
    ],
)
def test_evil_digests(client, digest):
    assert client("GET", f"/v2/a/b/blobs/{digest}").status in (400, 404)
    location = begin(client)
    assert client("PUT", f"{location}?digest={digest}", b"x").code == "DIGEST_INVALID"
    assert client("POST", f"/v2/a/b/blobs/uploads/?mount={digest}&from=a/b").status == 400


@pytest.mark.parametrize(
    "upload", ["..", "../../hub.db", "%2e%2e%2f%2e%2e%2fx", "x" * 1000, "0" * 36, "."]
)
def test_evil_uploads(client, upload, open_hub):
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        path = f"/v2/a/b/blobs/uploads/{upload}?digest={digest_of(b'')}"
        assert client(method, path, b"").status in (400, 404, 405)
    assert os.path.exists(os.path.join(open_hub.data_dir, "hub.db"))


@pytest.mark.parametrize(
    "stated", ["-5-10", "5--1", "10-5", "x-y", "1-2", "bytes 7-9/3", "0-" + "9" * 30, ""]
)
def test_evil_content_ranges(client, stated):
    location = begin(client)
    answer = client("PATCH", location, b"data", Content_Range=stated)
    assert answer.status == (416 if stated else 202)
    expected = "0-3" if not stated else "0-0"
    assert client("GET", location).headers["Range"] == expected


def test_range_and_length_must_agree(client):
    assert client("PATCH", begin(client), b"data", Content_Range="0-99").code == "SIZE_INVALID"


def test_quota_and_largest_blob(tmp_path):
    options = Options(open=True, max_blob=1_000_000, quota=1_500_000)
    with Hub.open(tmp_path / "h", options) as hub, serving(hub) as address:
        with Client(address) as client:
            client.push_blob("a/b", os.urandom(900_000))
            assert client("PATCH", begin(client), os.urandom(700_000)).status == 413
        for size in (1_000_001, None):
            with Client(address) as client:
                location = begin(client)
                connection = client.connection
                connection.putrequest("PATCH", location)
                if size:
                    connection.putheader("Content-Length", str(size))
                    connection.endheaders()
                else:
                    connection.putheader("Transfer-Encoding", "chunked")
                    connection.endheaders()
                    endless(connection)
                assert connection.getresponse().status == 413
        assert hub.gc(upload_age=0).uploads == 3


def endless(connection: http.client.HTTPConnection) -> None:
    """Send chunks for as long as the server takes them."""
    with pytest.raises(OSError):
        while True:
            connection.send(b"10000\r\n" + bytes(0x10000) + b"\r\n")


def test_two_writers_of_one_upload(client, tmp_path):
    location = begin(client)
    first = socket.create_connection(client.address)
    with first:
        head = f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        first.sendall(head.encode() + b"half")
        data = tmp_path / "open/uploads" / location.rpartition("/")[2] / "data"
        while data.stat().st_size < len("half"):
            time.sleep(0.001)  # who asks the hub before that may be the first himself
        assert client("GET", location).status == 409
        assert client("PATCH", location, b"other").status == 409
    while (status := client("GET", location)).status == 409:
        pass
    assert status.headers["Range"] == "0-3"  # the broken request's bytes stay: resume behind them
    assert client("PATCH", location, b"more", Content_Range="4-7").status == 202
    assert client("PUT", f"{location}?digest={digest_of(b'halfmore')}").status == 201


def test_twenty_pushes_at_once(tmp_path):
    shared = [os.urandom(200_000) for _ in range(3)]
    failures: list[BaseException] = []

    def push(address, number: int) -> None:
        try:
            with Client(address) as client:
                for layer in shared:
                    client.push_blob(f"u{number}/app", layer)
                config = client.push_blob(f"u{number}/app", b"{}")
                raw = manifest_of(b"{}", shared)
                assert config.encode() in raw
                path = f"/v2/u{number}/app/manifests/latest"
                assert client("PUT", path, raw, Content_Type=MANIFEST).status == 201
        except BaseException as error:
            failures.append(error)

    with Hub.open(tmp_path / "h", Options(open=True)) as hub, serving(hub) as address:
        threads = [threading.Thread(target=push, args=(address, n)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert len(hub.repositories.list()) == 20
        blobs = os.listdir(tmp_path / "h" / "blobs" / "sha256")
        assert len(blobs) == 5  # three layers, the config, the manifest: each once
        with Client(address) as client:
            for layer in shared:
                assert client("GET", f"/v2/u19/app/blobs/{digest_of(layer)}").body == layer


def test_collection(open_hub, client):
    raw = client.push_image("a/b", "v1", b"kept")
    client.push_image("a/b", "v2", b"gone")
    loose = client.push_blob("a/b", b"loose")
    shared = client.push_blob("c/d", b"kept")
    begin(client)
    assert open_hub.gc().blobs == 0
    client("DELETE", "/v2/a/b/manifests/v2")
    second = digest_of(manifest_of(CONFIG, [b"gone"]))
    assert client("DELETE", f"/v2/a/b/manifests/{second}").status == 202
    stray = Path(open_hub.data_dir, "blobs", "sha256", "0" * 64)
    stray.write_bytes(b"of a killed hub")
    report = open_hub.gc(blob_grace=0, upload_age=0)
    assert report.uploads == 1
    assert report.blobs == 4  # the manifest of v2, its layer, the loose blob, the stray
    assert client("GET", "/v2/a/b/manifests/v1").body == raw
    assert client("GET", f"/v2/a/b/blobs/{digest_of(b'kept')}").status == 200
    assert client("GET", f"/v2/c/d/blobs/{shared}").status == 404
    assert client("GET", f"/v2/a/b/blobs/{loose}").status == 404
    assert not stray.exists()
    assert open_hub.gc(blob_grace=0, upload_age=0).blobs == 0
    client.push_image("a/b", "v2", b"gone")


CONFIG = b'{"architecture": "amd64", "os": "linux", "rootfs": {}}'


def test_pushing_while_collecting(tmp_path):
    """No push may lose a blob it was told is there, however often the collector runs."""
    stop = threading.Event()
    with Hub.open(tmp_path / "h", Options(open=True)) as hub, serving(hub) as address:

        def collect() -> None:
            while not stop.is_set():
                hub.gc(blob_grace=30, upload_age=30)

        thread = threading.Thread(target=collect)
        thread.start()
        try:
            with Client(address) as client:
                for _ in range(15):
                    raw = client.push_image("a/b", "v1", b"the same layer again and again")
                    client("DELETE", f"/v2/a/b/manifests/{digest_of(raw)}")
                client.push_image("a/b", "v1", b"the same layer again and again")
                layer = digest_of(b"the same layer again and again")
                assert client("GET", f"/v2/a/b/blobs/{layer}").status == 200
        finally:
            stop.set()
            thread.join()


def test_a_hundred_thousand_tags(open_hub, client):
    raw = client.push_image("a/b", "v1", b"layer")
    with open_hub._database.write() as c:
        repository = c.execute("SELECT id FROM repositories").fetchone()[0]
        rows = ((repository, f"t{n:06}", digest_of(raw), 0.0) for n in range(100_000))
        c.executemany("INSERT INTO tags VALUES (?, ?, ?, ?)", rows)
    assert len(client("GET", "/v2/a/b/tags/list").json["tags"]) == 100_001
    seen, path = 0, "/v2/a/b/tags/list?n=9999"
    while path:
        answer = client("GET", path)
        seen += len(answer.json["tags"])
        link = answer.headers["Link"]
        path = link[1 : link.index(">")] if link else ""
    assert seen == 100_001


def test_killed_and_resumed(tmp_path):
    """kill -9 in the middle of an upload: what came stays, the rest is sent to a new process."""
    data = os.urandom(3_000_000)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    location, sent = "", 0
    for round_number in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(tmp_path / "h")],
            stdout=subprocess.PIPE,
            env=environment,
        )
        assert child.stdout is not None
        try:
            address = ("127.0.0.1", int(child.stdout.readline()))
            with Client(address) as client:
                location = location or begin(client)
                status = client("GET", location)
                assert status.status == 204
                last = int(status.headers["Range"].partition("-")[2])
                assert last <= len(data)
                sent = last + 1 if last else 0
                if round_number == 3:
                    rest = data[sent:]
                    path = f"{location}?digest={digest_of(data)}"
                    assert client("PUT", path, rest).status == 201
                    pulled = client("GET", f"/v2/a/b/blobs/{digest_of(data)}")
                    assert pulled.body == data
                else:
                    client.connection.putrequest("PATCH", location)
                    client.connection.putheader("Content-Length", str(len(data) - sent))
                    client.connection.endheaders()
                    client.connection.send(data[sent : sent + 700_001])
                    wait_for_bytes(tmp_path, sent + 1)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
    with Hub.open(tmp_path / "h") as hub:
        assert hub.repositories.blob_size("a/b", Digest(digest_of(data))) == len(data)
        assert hub.gc(blob_grace=3600, upload_age=0).uploads == 0


def wait_for_bytes(tmp_path, size: int) -> None:
    """Until the hub has written something of what was sent."""
    uploads = tmp_path / "h" / "uploads"
    while not any(path.stat().st_size >= size for path in uploads.glob("*/data")):
        pass
