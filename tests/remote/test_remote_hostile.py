"""Whatever a server sends: an error of ours that says what happened, or success; never a hang."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from remote_servers import QUICK, Hostile, Request, make_image

from kobako.errors import Corrupt, Denied, Invalid, KobakoError, NotFound, Unavailable
from kobako.events import Event, LayerProgress
from kobako.oci.descriptor import Descriptor
from kobako.oci.digest import Digest
from kobako.oci.manifest import Manifest
from kobako.oci.mediatypes import OCI_LAYER
from kobako.oci.platform import Platform
from kobako.oci.reference import Reference
from kobako.remote.client import Client
from kobako.remote.endpoint import HostConfig, Mirror, RegistryConfig
from kobako.remote.pull import pull
from kobako.remote.push import push
from kobako.remote.registry import tags
from kobako.store.store import Store

AMD64 = Platform("linux", "amd64")
Script = Callable[[Request], None]
Start = Callable[[Script], Hostile]


class Honest:
    """A script that serves one image properly; tests override single answers."""

    def __init__(self, store: Store, manifest: Manifest) -> None:
        self.store = store
        self.manifest = manifest

    def __call__(self, request: Request) -> None:
        path = request.path.partition("?")[0]
        kind = path.split("/")[-2]
        if kind == "manifests":
            self.serve_manifest(request)
        elif kind == "blobs":
            self.serve_blob(request, Digest.parse(path.split("/")[-1]))
        else:
            request.answer(200)

    def serve_manifest(self, request: Request) -> None:
        request.answer(200, self.manifest.raw, Content_Type=self.manifest.media_type)

    def serve_blob(self, request: Request, digest: Digest) -> None:
        data = self.store.blobs.read(digest)
        start = int((request.headers.get("Range") or "bytes=0-")[6:-1])
        if start:
            where = f"bytes {start}-{len(data) - 1}/{len(data)}"
            request.answer(206, data[start:], Content_Range=where)
        else:
            request.answer(200, data)


@pytest.fixture
def image(make_store: Callable[[], Store], noise: bytes) -> Honest:
    source = make_store()
    return Honest(source, make_image(source, [noise]))


def got(server: Hostile, store: Store, client: Client, name: str = "x") -> None:
    pull(store, Reference.parse(f"{server.host}/{name}"), AMD64, client)


def whole(store: Store, image: Honest) -> bool:
    layer = image.manifest.layers[0]
    return store.blobs.exists(layer.digest) and len(store.blobs.read(layer.digest)) == layer.size


def no_leftovers(store: Store) -> bool:
    import os

    return os.listdir(store.ingest_dir) == []


def test_a_broken_transfer_is_resumed(
    hostile: Start, image: Honest, store: Store, client: Client, noise: bytes
) -> None:
    def script(request: Request) -> None:
        layer = str(image.manifest.layers[0].digest)
        if request.path.endswith(layer) and not request.headers.get("Range"):
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(noise)}\r\n\r\n"
            request.raw(head.encode() + noise[: 2 << 20])
        else:
            image(request)

    server = hostile(script)
    got(server, store, client)
    assert whole(store, image)
    resumed = [r for r in server.seen("GET", "/blobs/") if r.headers.get("Range")]
    assert [r.headers["Range"] for r in resumed] == [f"bytes={2 << 20}-"]


def test_a_server_without_ranges_is_resumed_too(
    hostile: Start, image: Honest, store: Store, client: Client, noise: bytes
) -> None:
    broken: list[int] = []

    def script(request: Request) -> None:
        layer = str(image.manifest.layers[0].digest)
        if not request.path.endswith(layer):
            image(request)
        elif not broken:
            broken.append(1)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(noise)}\r\n\r\n"
            request.raw(head.encode() + noise[:1000])
        else:
            request.answer(200, noise)

    got(hostile(script), store, client)
    assert whole(store, image)


def test_hiccups_are_tried_again(
    hostile: Start, image: Honest, store: Store, client: Client
) -> None:
    seen: dict[str, int] = {}

    def script(request: Request) -> None:
        count = seen[request.path] = seen.get(request.path, 0) + 1
        if count == 1:
            request.answer(503, Retry_After="0")
        elif count == 2:
            request.answer(429, b'{"errors":[{"code":"TOOMANYREQUESTS"}]}')
        else:
            image(request)

    got(hostile(script), store, client)
    assert whole(store, image)


@pytest.mark.parametrize(
    ("lie", "kind", "match"),
    [
        (lambda r, d: r.answer(200, d[:-1] + b"!"), Corrupt, "verification failed"),
        (lambda r, d: r.answer(200, d[:-1]), Corrupt, "bytes instead of"),
        (lambda r, d: r.answer(200, d + b"!"), Corrupt, "bytes instead of"),
        (
            lambda r, d: r.raw(b"HTTP/1.1 200 OK\r\n\r\n" + d + b"endless" * 1000),
            Corrupt,
            "longer than",
        ),
        (lambda r, d: r.raw(b"HTTP/1.1 200 OK\r\n\r\n" + d[:500]), Unavailable, "ended after"),
        (lambda r, d: r.answer(206, d[5:]), Corrupt, "another range"),
        (lambda r, d: r.answer(404), NotFound, "not found"),
        (lambda r, d: r.answer(500), Unavailable, "500"),
        (
            lambda r, d: r.raw(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n"
            ),
            Unavailable,
            "malformed or broken",
        ),
    ],
)
def test_lying_about_a_blob(
    hostile: Start,
    image: Honest,
    store: Store,
    client: Client,
    lie: Callable[[Request, bytes], None],
    kind: type[KobakoError],
    match: str,
) -> None:
    layer = image.manifest.layers[0].digest

    def script(request: Request) -> None:
        if request.path.endswith(str(layer)):
            lie(request, image.store.blobs.read(layer))
        else:
            image(request)

    with pytest.raises(kind, match=match):
        got(hostile(script), store, client)
    assert not store.blobs.exists(layer)
    assert no_leftovers(store)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX-Huge: " + b"a" * 300_000 + b"\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\0\0",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\xff\xfe\xfd",
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nContent-Type: application/vnd.docker."
        b'distribution.manifest.v1+prettyjws\r\n\r\n{"schemaVersion": 1}',
        b"HTTP/1.1 200 OK\r\nDocker-Content-Digest: sha256:zz\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: gopher://x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: http://[::bad\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: //\xff\xff/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: http://x:99999/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: http://" + b"a" * 300 + b"/\r\nContent-Length: 0\r\n\r\n",
        b'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="http://["\r\n'
        b"Content-Length: 0\r\n\r\n",
        b'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="file:///etc/passwd"\r\n'
        b"Content-Length: 0\r\n\r\n",
        b'HTTP/1.1 401 No\r\nWWW-Authenticate: ,,="\\\r\nContent-Length: 0\r\n\r\n',
        b"HTTP/1.1 403 No\r\nContent-Length: 60\r\n\r\n"
        + b'{"errors":[{"code":5},{"code":"\x1b[31mX"'
        + b" " * 20,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
        b"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n" + b"[" * 40000,
    ],
)
@pytest.mark.parametrize("everywhere", [True, False])
def test_nonsense_is_told(
    hostile: Start, store: Store, client: Client, answer: bytes, everywhere: bool
) -> None:
    def script(request: Request) -> None:
        if everywhere or request.path != "/v2/":
            request.raw(answer)
        else:
            request.answer(200)

    server = hostile(script)
    with pytest.raises(KobakoError) as caught:
        got(server, store, client)
    assert str(caught.value).isprintable()
    # Some of these are proper answers to the other calls; nothing but our errors comes of the rest.
    manifest = make_image(store, [b"upwards"])
    name = Reference.parse(f"{server.host}/x")
    for attempt in (
        lambda: tags(name, client),
        lambda: push(store, manifest.digest, name, client),
    ):
        try:
            attempt()
        except KobakoError as fault:
            assert str(fault).isprintable()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    status=st.sampled_from([200, 201, 202, 204, 206, 301, 307, 400, 401, 404, 416, 500]),
    headers=st.lists(
        st.tuples(
            st.sampled_from(
                "Location WWW-Authenticate Content-Length Content-Range Content-Type Link "
                "Docker-Content-Digest Retry-After Transfer-Encoding Content-Encoding".split()
            ),
            st.one_of(
                st.sampled_from(
                    [
                        "Bearer",
                        'Bearer realm="/token"',
                        "Basic",
                        "/v2/x/blobs/uploads/1",
                        "chunked",
                        "gzip",
                        '</v2/x/tags/list>; rel="next"',
                        "0-0",
                        "99999999999999999999999",
                        str(Digest.EMPTY),
                    ]
                ),
                st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=40),
            ),
        ),
        max_size=4,
    ),
    body=st.one_of(
        st.binary(max_size=50),
        st.recursive(
            st.one_of(st.none(), st.integers(), st.text(max_size=5), st.just(str(Digest.EMPTY))),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(
                        "schemaVersion mediaType config layers manifests digest size platform "
                        "errors code message tags token expires_in".split()
                    ),
                    inner,
                    max_size=5,
                ),
            ),
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_random_answers(
    random_server: Hostile,
    random_store: tuple[Store, Manifest],
    status: int,
    headers: list[tuple[str, str]],
    body: bytes,
) -> None:
    client = Client(limits=QUICK.replace(attempts=1, read=0.1, document=0.2))
    store, manifest = random_store
    head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers)
    raw = head.encode("latin-1") + b"\r\n" + body

    def script(request: Request) -> None:
        if request.path == "/v2/":
            request.answer(200)
        else:
            request.raw(raw)

    random_server.script = script
    name = Reference.parse(f"{random_server.host}/x")
    for attempt in (
        lambda: pull(store, name, AMD64, client),
        lambda: push(store, manifest.digest, name, client),
        lambda: tags(name, client),
    ):
        try:
            attempt()
        except KobakoError as fault:
            assert str(fault).isprintable(), str(fault)


@pytest.fixture(scope="module")
def random_server() -> object:
    server = Hostile(lambda request: request.answer(200))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def random_store(tmp_path_factory: pytest.TempPathFactory) -> object:
    with Store.open(str(tmp_path_factory.mktemp("random"))) as store:
        yield store, make_image(store, [b"pushed at random"])


def test_redirects_carry_no_credentials(
    hostile: Start, image: Honest, store: Store, client: Client, tmp_path: object
) -> None:
    from kobako.remote.credentials import CredentialFile, Credentials

    elsewhere = hostile(image)

    def script(request: Request) -> None:
        if not request.headers.get("Authorization"):
            request.answer(401, WWW_Authenticate='Basic realm="x"')
        elif "/blobs/" in request.path:
            request.answer(307, Location=f"http://{elsewhere.host}{request.path}?sig=secret")
        else:
            image(request)

    server = hostile(script)
    file = CredentialFile(f"{tmp_path}/config.json")
    file.set(server.host, Credentials("alice", "hidden"))
    got(server, store, client.replace(credentials=file))
    assert whole(store, image)
    assert elsewhere.requests
    assert not any(r.headers.get("Authorization") for r in elsewhere.requests)


def test_redirect_loops_end(hostile: Start, store: Store, client: Client) -> None:
    server = hostile(
        lambda r: r.answer(200) if r.path == "/v2/" else r.answer(302, Location=r.path + "x")
    )
    with pytest.raises(Unavailable, match="more than 10 redirects"):
        got(server, store, client)


def test_endless_lists_end(hostile: Start, client: Client) -> None:
    def script(request: Request) -> None:
        link = '</v2/x/tags/list?again>; rel="next"'
        request.answer(200, b'{"tags":["a"]}', Link=link)

    server = hostile(script)
    with pytest.raises(Unavailable, match="no end"):
        tags(Reference.parse(f"{server.host}/x"), client)


def test_an_endless_manifest_ends(hostile: Start, store: Store, client: Client) -> None:
    def script(request: Request) -> None:
        if request.path == "/v2/":
            return request.answer(200)
        request.handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            request.handler.wfile.write(b" " * 65536)

    with pytest.raises(Invalid, match="longer than"):
        got(hostile(script), store, client)


@pytest.mark.parametrize("part", ["headers", "manifest", "blob"])
def test_dripping_servers_are_given_up(
    hostile: Start, image: Honest, store: Store, part: str
) -> None:
    layer = image.manifest.layers[0].digest

    def script(request: Request) -> None:
        wanted = str(layer) if part == "blob" else "/manifests/"
        if wanted not in request.path:
            return image(request)
        start = b"HTTP/1.1 200 OK\r\n" + (b"X: " if part == "headers" else b"\r\n")
        request.handler.wfile.write(start)
        while True:
            request.handler.wfile.write(b"x")
            time.sleep(0.05)

    client = Client(limits=QUICK.replace(attempts=1, read=0.5, document=0.5))
    with pytest.raises(Unavailable, match=r"timeout|too long|stalled|broken"):
        got(hostile(script), store, client)


def test_silence_is_given_up(store: Store) -> None:
    client = Client(limits=QUICK.replace(attempts=1, read=0.2, connect=0.2))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Unavailable, match="timeout"):
            pull(store, Reference.parse(f"{host}/x"), AMD64, client)


def test_plain_http_where_tls_is_wanted(hostile: Start, store: Store, client: Client) -> None:
    server = hostile(lambda r: r.answer(200))
    strict = HostConfig(server.host, ca_file="/etc/ssl/certs/ca-certificates.crt")
    config = RegistryConfig((strict, HostConfig("m.test", (Mirror(f"https://{server.host}"),))))
    with pytest.raises(Unavailable, match="server gave HTTP response to HTTPS client") as caught:
        got(server, store, client.replace(registries=config))
    assert "insecure = true" in caught.value.hint


def test_a_push_refused_is_told_in_the_registrys_words(
    hostile: Start, store: Store, client: Client
) -> None:
    body = b'{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'

    def script(request: Request) -> None:
        if request.method == "POST":
            request.answer(403, body)
        else:
            request.answer(200 if request.path == "/v2/" else 404)

    server = hostile(script)
    manifest = make_image(store, [b"refused"])
    with pytest.raises(Denied) as caught:
        push(store, manifest.digest, Reference.parse(f"{server.host}/x"), client)
    assert str(caught.value) == "denied: requested access to the resource is denied"


def test_a_layer_that_lies_elsewhere_is_not_pushed(
    hostile: Start, store: Store, client: Client
) -> None:
    def script(request: Request) -> None:
        if request.method == "POST":
            request.answer(202, Location=request.path)
        else:
            request.answer({"PUT": 201, "GET": 200}.get(request.method, 404))

    server = hostile(script)
    whole = make_image(store, [b"here"])
    elsewhere = Descriptor(OCI_LAYER, Digest.of(b"there"), 5, urls=("https://example.com/there",))
    manifest = Manifest.build(whole.config, [*whole.layers, elsewhere])
    store.blobs.put(manifest.raw)
    events: list[Event] = []
    push(store, manifest.digest, Reference.parse(f"{server.host}/x"), client, events.append)
    assert LayerProgress(elsewhere.digest.short, "Skipped foreign layer") in events
    assert not any(str(elsewhere.digest) in request.path for request in server.requests)
    assert server.requests[-1].body == manifest.raw


def test_uploads_are_chunked_where_one_put_is_refused(
    hostile: Start, store: Store, client: Client
) -> None:
    kept: dict[str, bytes] = {}

    def script(request: Request) -> None:
        path, _, query = request.path.partition("?")
        if request.method == "POST":
            request.answer(202, Location=path + "1?state=a")
        elif request.method == "PATCH":
            kept["part"] = request.body
            request.answer(202, Location=path + "?state=b")
        elif request.method == "PUT" and "/uploads/" in path:
            if request.body:
                request.answer(405)
                return
            kept[query] = kept.pop("part")
            request.answer(201)
        elif request.method == "PUT":
            request.answer(201)
        else:
            request.answer(200 if path == "/v2/" else 404)

    server = hostile(script)
    manifest = make_image(store, [b"in a chunk"])
    one = client.replace(limits=client.limits.replace(parallel=1))
    push(store, manifest.digest, Reference.parse(f"{server.host}/x"), one)
    layer = str(manifest.layers[0].digest).replace(":", "%3A")
    assert kept[f"state=b&digest={layer}"] == b"in a chunk"
