"""Challenges, tokens, and which endpoint is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from remote_servers import Hostile, Request, make_image

from kobako.errors import Invalid, Unauthorized
from kobako.oci.reference import Reference
from kobako.remote import auth, challenge
from kobako.remote.client import Client
from kobako.remote.credentials import CredentialFile, Credentials
from kobako.remote.endpoint import HostConfig, Mirror, RegistryConfig, endpoints, is_loopback
from kobako.remote.login import login, logout, stored
from kobako.remote.push import push
from kobako.remote.registry import Registry, tags
from kobako.remote.repository import Repository
from kobako.remote.transport import Transport
from kobako.store.store import Store

Start = Callable[[Callable[[Request], None]], Hostile]


class TokenRegistry:
    """A registry that wants bearer tokens, and its token server in one."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.expired = False
        self.offered = ""

    def __call__(self, request: Request) -> None:
        url = urlsplit(request.path)
        if url.path == "/token":
            self.token(request, parse_qs(request.body.decode() or url.query))
            return
        if self.expired or not (request.headers.get("Authorization") or "").startswith("Bearer t"):
            self.expired = False
            realm = f'Bearer realm="http://{request.headers["Host"]}/token",service="here, there"'
            request.answer(401, WWW_Authenticate=realm)
        elif request.method == "POST":
            request.answer(201 if "mount=" in request.path else 202, Location=url.path + "up")
        elif request.method == "HEAD":
            request.answer(404)
        elif request.method == "PUT":
            request.answer(201)
        else:
            request.answer(200, b'{"tags": ["a"]}')

    def token(self, request: Request, query: dict[str, list[str]]) -> None:
        self.asked.append(query)
        authorization = request.headers.get("Authorization") or ""
        if authorization not in ("", "Basic YWxpY2U6d29yZA=="):
            request.answer(401, b'{"details": "incorrect username or password"}')
            return
        answer = {"token": f"t{len(self.asked)}", "expires_in": 300, "refresh_token": self.offered}
        request.answer(200, json.dumps(answer).encode())


@pytest.fixture
def registry() -> TokenRegistry:
    return TokenRegistry()


def credentials(tmp_path: Path) -> CredentialFile:
    return CredentialFile(str(tmp_path / "config.json"))


def test_a_token_for_each_scope_and_again_when_it_ends(
    hostile: Start, registry: TokenRegistry, client: Client, store: Store
) -> None:
    name = Reference.parse(f"{hostile(registry).host}/x")
    registry.expired = True
    assert tags(name, client) == ["a"]
    assert registry.asked == [{"service": ["here, there"], "scope": ["repository:x:pull"]}]
    registry.asked.clear()
    manifest = make_image(store, [b"mounted"])
    push(store, manifest.digest, name, client, mounts=("other/one",))
    scopes = [set(query["scope"]) for query in registry.asked]
    assert scopes == [
        {"repository:x:pull,push"},
        {"repository:x:pull,push", "repository:other/one:pull"},
    ]


def test_a_token_that_is_old_or_refused_is_asked_for_again(
    hostile: Start, registry: TokenRegistry, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(auth.time, "monotonic", lambda: clock[0])
    refused: set[str] = set()

    def script(request: Request) -> None:
        if request.headers.get("Authorization") in refused:
            request.answer(401, WWW_Authenticate=f'Bearer realm="http://{server.host}/token"')
        else:
            registry(request)

    server = hostile(script)
    name = Reference.parse(f"{server.host}/x")
    with Transport(client) as transport:
        session = Registry(name.domain, transport).first(lambda session: session)
        repository = Repository(session, name)
        for seconds, asked in ((0, 1), (289, 1), (291, 2)):
            clock[0] = seconds
            assert repository.tags() == ["a"]
            assert len(registry.asked) == asked, seconds
        refused.add("Bearer t2")
        assert repository.tags() == ["a"]
    assert len(registry.asked) == 3


def test_credentials_go_to_the_token_server_alone(
    hostile: Start, registry: TokenRegistry, client: Client, tmp_path: Path
) -> None:
    server = hostile(registry)
    file = credentials(tmp_path)
    file.set(server.host, Credentials("alice", "word"))
    tags(Reference.parse(f"{server.host}/x"), client.replace(credentials=file))
    for request in server.requests:
        basic = (request.headers.get("Authorization") or "").startswith("Basic")
        assert basic == request.path.startswith("/token")
    assert registry.asked[0]["account"] == ["alice"]


def test_an_identity_token_is_posted(
    hostile: Start, registry: TokenRegistry, client: Client, tmp_path: Path
) -> None:
    server = hostile(registry)
    file = credentials(tmp_path)
    client = client.replace(credentials=file)
    registry.offered = "kept-instead"
    login(server.host, "alice", "word", client)
    assert registry.asked[0]["offline_token"] == ["true"]
    assert file.get(server.host) == Credentials("alice", "", "kept-instead")
    tags(Reference.parse(f"{server.host}/x"), client)
    assert registry.asked[-1]["grant_type"] == ["refresh_token"]
    assert registry.asked[-1]["refresh_token"] == ["kept-instead"]
    with pytest.raises(Unauthorized) as caught:
        login(server.host, "alice", "wr0ng", client)
    assert "wr0ng" not in str(caught.value)


def test_login_to_docker_io_goes_where_its_pushes_go(
    hostile: Start, registry: TokenRegistry, client: Client, tmp_path: Path
) -> None:
    server = hostile(registry)
    mirror = HostConfig("docker.io", (Mirror(f"http://{server.host}", push=True),))
    client = client.replace(registries=RegistryConfig((mirror,)), credentials=credentials(tmp_path))
    assert login("", "alice", "word", client).host == server.host


def test_logout_goes_where_the_login_went(tmp_path: Path) -> None:
    mirrored = HostConfig("docker.io", mirrors=(Mirror("http://127.0.0.1:9", push=True),))
    file = CredentialFile(str(tmp_path / "config.json"))
    client = Client(RegistryConfig((mirrored,)), file)
    for domain in ("127.0.0.1:9", "docker.io"):
        file.set(domain, Credentials("me", "word"))
    assert stored("docker.io", client) == Credentials("me", "word")
    assert logout("docker.io", client)
    assert not file.list()
    assert not logout("docker.io", client)


def test_challenges() -> None:
    header = 'Basic realm="a \\"b\\", c", Bearer realm="https://x/t",service=s,'
    header += ' scope="r:a:pull r:b:pull"'
    basic, bearer = challenge.parse(header)
    assert (basic.scheme, basic.get("realm")) == ("basic", 'a "b", c')
    assert bearer.get("scope") == "r:a:pull r:b:pull"
    assert (bearer.get("service"), bearer.get("nothing")) == ("s", "")
    assert challenge.parse("") == ()


@given(st.text())
def test_any_challenge_is_read(header: str) -> None:
    for found in challenge.parse(header):
        assert found.scheme


def test_endpoints_of_a_domain() -> None:
    mirrors = (Mirror("http://127.0.0.1:5000"), Mirror("https://m.test/sub/", push=True))
    config = RegistryConfig(
        (HostConfig("docker.io", mirrors), HostConfig("plain.test", insecure=True))
    )

    def bases(domain: str, *, push: bool = False) -> list[tuple[str, ...]]:
        return [e.bases for e in endpoints(domain, config, push=push)]

    own = ("https://registry-1.docker.io",)
    assert bases("docker.io") == [("http://127.0.0.1:5000",), ("https://m.test/sub",), own]
    assert bases("docker.io", push=True) == [("https://m.test/sub",)]
    assert bases("quay.io") == [("https://quay.io",)]
    assert bases("plain.test") == [("https://plain.test", "http://plain.test")]
    assert bases("localhost:5000") == [("http://localhost:5000", "https://localhost:5000")]
    assert not endpoints("plain.test", config)[0].verify
    assert endpoints("quay.io", config)[0].verify
    assert all(map(is_loopback, ("localhost", "127.3.2.1:80", "[::1]:5000", "::1")))
    assert not any(map(is_loopback, ("127.0.0.1.evil.test", "localhost.test", "[::2]", "10.0.0.1")))
    for wrong in ("m.test", "ftp://m.test", "https://user:word@m.test", "https://"):
        bad = RegistryConfig((HostConfig("docker.io", (Mirror(wrong),)),))
        with pytest.raises(Invalid, match="invalid registry mirror") as caught:
            endpoints("docker.io", bad)
        assert "word" not in caught.value.message


def test_proxies_by_the_usual_rules() -> None:
    config = RegistryConfig(
        proxies=(
            ("https_proxy", "http://proxy.test:3128"),
            ("no_proxy", "internal.test, .corp.test,10.0.0.1"),
        )
    )
    assert config.proxy_for("https", "quay.io") == "http://proxy.test:3128"
    assert config.proxy_for("http", "quay.io") == ""
    for host in (
        "internal.test",
        "a.internal.test:443",
        "x.corp.test",
        "10.0.0.1:5000",
        "localhost",
    ):
        assert config.proxy_for("https", host) == ""


def test_a_proxy_is_asked(hostile: Start, client: Client) -> None:
    def proxy(request: Request) -> None:
        request.answer(200, b'{"tags": ["by proxy"]}')

    server = hostile(proxy)
    config = RegistryConfig(
        (HostConfig("far.test", insecure=True, mirrors=(Mirror("http://far.test"),)),),
        (("http_proxy", f"http://me:word@{server.host}"),),
    )
    found = tags(Reference.parse("far.test/x"), client.replace(registries=config))
    assert found == ["by proxy"]
    assert server.requests[0].path == "http://far.test/v2/"
    assert server.requests[0].headers["Proxy-Authorization"] == "Basic bWU6d29yZA=="
