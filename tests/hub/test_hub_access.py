"""Accounts, tokens, roles, private repositories."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
from urllib.parse import quote

import pytest
from hub_client import digest_of
from hub_serving import serving

from kobako.errors import Conflict, Invalid, NotFound, Unauthorized
from kobako.hub import Hub, Options
from kobako.hub.throttle import Throttle
from kobako.hub.tokens import Claims, Scope, Tokens


def token(client, *scopes, service="kobako-hub"):
    query = "&".join([f"service={service}", *(f"scope={quote(s)}" for s in scopes)])
    answer = client("GET", f"/auth/token?{query}")
    assert answer.status == 200, answer.body
    return answer.json["token"]


def claims(text):
    body = text.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def test_accounts(hub):
    assert [a.name for a in hub.accounts.list()] == ["alice", "bob", "root1"]
    with pytest.raises(Conflict):
        hub.accounts.add("alice", "password-again")
    for name in ("library", "../x", "A", "a/b", "", "x" * 65):
        with pytest.raises(Invalid):
            hub.accounts.add(name, "password-x")
    with pytest.raises(Invalid):
        hub.accounts.add("carol", "short")
    with pytest.raises(Invalid):
        hub.accounts.add("carol", "long enough", role="king")
    assert hub.accounts.check("alice", "password-alice").name == "alice"
    assert hub.accounts.check("alice", "password-bob") is None
    assert hub.accounts.check("nobody", "password-alice") is None
    hub.accounts.passwd("alice", "another password")
    assert hub.accounts.check("alice", "password-alice") is None
    assert hub.accounts.check("alice", "another password") is not None
    hub.accounts.remove("alice")
    assert hub.accounts.check("alice", "another password") is None
    for change in (lambda: hub.accounts.remove("alice"), lambda: hub.accounts.passwd("x", "y" * 9)):
        with pytest.raises(NotFound):
            change()


def test_nothing_secret_is_readable(hub):
    for name in ("token.key", "hub.db"):
        path = os.path.join(hub.data_dir, name)
        assert stat.S_IMODE(os.stat(hub.data_dir).st_mode) == 0o700, path
    key = os.path.join(hub.data_dir, "token.key")
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    with open(os.path.join(hub.data_dir, "hub.db"), "rb") as file:
        assert b"password-alice" not in file.read()


def test_login_protocol(connect):
    nobody, alice = connect(), connect("alice")
    answer = nobody("GET", "/v2/")
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    challenge = answer.headers["WWW-Authenticate"]
    host, port = nobody.address
    assert challenge == f'Bearer realm="http://{host}:{port}/auth/token",service="kobako-hub"'
    assert connect(token=token(alice))("GET", "/v2/").status == 200
    wrong = connect("alice")
    wrong.auth = {"Authorization": "Basic " + base64.b64encode(b"alice:wrong").decode()}
    assert wrong("GET", "/auth/token").status == 401
    form = "grant_type=password&username=alice&password=password-alice&service=kobako-hub"
    posted = nobody("POST", "/auth/token", form + "&scope=repository:alice/x:pull,push")
    actions = claims(posted.json["access_token"])["access"]
    assert actions == [{"type": "repository", "name": "alice/x", "actions": ["pull", "push"]}]
    for bad in ("Basic !!", "Basic " + base64.b64encode(b"nocolon").decode(), "Digest x", "x"):
        nobody.auth = {"Authorization": bad}
        assert nobody("GET", "/v2/").status in (400, 401)


def test_who_may_write(connect):
    blob = b"x" * 10
    path = f"/blobs/uploads/?digest={digest_of(blob)}"
    table = [
        ("", "alice/app", 401),
        ("alice", "alice/app", 201),
        ("alice", "alice/deep/app", 201),
        ("alice", "alice", 403),
        ("alice", "alicex/app", 403),
        ("alice", "bob/app", 403),
        ("alice", "library/app", 403),
        ("root1", "library/app", 201),
        ("root1", "bob/app", 201),
        ("root1", "app", 201),
    ]
    for login, repository, status in table:
        client = connect(login)
        assert client("POST", f"/v2/{repository}{path}", blob).status == status, (login, repository)
        if login:
            client.auth = {
                "Authorization": f"Bearer {token(client, f'repository:{repository}:pull,push')}"
            }
            again = client("POST", f"/v2/{repository}{path}", blob)
            assert again.status == status, (login, repository)


def test_scopes_are_honoured(connect):
    alice = connect("alice")
    digest = alice.push_blob("alice/app", b"blob")
    pulling = connect(token=token(alice, "repository:alice/app:pull"))
    assert pulling("GET", f"/v2/alice/app/blobs/{digest}").status == 200
    answer = pulling("POST", "/v2/alice/app/blobs/uploads/")
    assert answer.status == 401
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert 'scope="repository:alice/app:pull,push"' in answer.headers["WWW-Authenticate"]
    assert pulling("DELETE", f"/v2/alice/app/blobs/{digest}").status == 401
    assert pulling("GET", f"/v2/alice/other/blobs/{digest}").status == 401
    deleting = connect(token=token(alice, "repository:alice/app:*"))
    assert deleting("DELETE", f"/v2/alice/app/blobs/{digest}").status == 202


def test_mount_needs_both_scopes(connect, hub):
    bob, alice = connect("bob"), connect("alice")
    digest = bob.push_blob("bob/secret", b"blob of bob")
    hub.repositories.set_private("bob/secret", True)
    target, source = "repository:alice/app:pull,push", "repository:bob/secret:pull"
    mount = f"/v2/alice/app/blobs/uploads/?mount={digest}"
    for suffix in ("&from=bob/secret", ""):
        assert alice("POST", mount + suffix).status == 202
        both = connect(token=token(alice, target, source))
        assert both("POST", mount + suffix).status == 202
    hub.repositories.set_private("bob/secret", False)
    only_target = connect(token=token(alice, target))
    assert only_target("POST", mount + "&from=bob/secret").status == 202
    both = connect(token=token(alice, target, source))
    assert both("POST", mount + "&from=bob/secret").status == 201


def test_private_looks_like_absent(connect, hub):
    alice = connect("alice")
    raw = alice.push_image("alice/app", "v1", b"layer")
    alice.push_image("alice/seen", "v1", b"layer")
    hub.repositories.set_private("alice/app", True)
    nobody, bob, root = connect(), connect("bob"), connect("root1")
    scoped = connect(token=token(connect(), "repository:alice/app:pull"))
    for client in (nobody, bob, scoped):
        answers = [client("GET", f"/v2/alice/{n}/manifests/v1") for n in ("app", "none")]
        assert answers[0].status == answers[1].status
        assert answers[0].body == answers[1].body.replace(b"alice/none", b"alice/app")
        assert client("GET", "/v2/_catalog").json == {"repositories": ["alice/seen"]}
        found = client("GET", "/v1/search?q=alice").json["results"]
        assert [one["name"] for one in found] == ["alice/seen"]
        assert b"alice/app" not in client("GET", "/").body
    assert bob("GET", "/v2/alice/app/manifests/v1").status == 404
    for client in (alice, root):
        assert client("GET", "/v2/alice/app/manifests/v1").body == raw
        assert b"alice/app" in client("GET", "/").body


def test_tokens_end(connect, hub):
    alice = connect("alice")
    text = token(alice, "repository:alice/app:pull,push")
    client = connect(token=text)
    assert client("POST", "/v2/alice/app/blobs/uploads/").status == 202
    hub.accounts.passwd("alice", "a new password")
    answer = client("POST", "/v2/alice/app/blobs/uploads/")
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_forged_tokens(tmp_path):
    ours = Tokens(str(tmp_path / "key"), "hub")
    same_key = Tokens(str(tmp_path / "key"), "another service")
    good = Claims("alice", "1", (Scope("a/b", ("pull",)),))
    text = ours.sign(good, 60)
    assert ours.verify(text) == good
    head, body, mac = text.split(".")
    none = base64.urlsafe_b64encode(b'{"typ":"JWT","alg":"none"}').rstrip(b"=").decode()
    forged = base64.urlsafe_b64encode(b'{"sub":"root1"}').rstrip(b"=").decode()
    other = Tokens(str(tmp_path / "other"), "hub").sign(good, 60)
    bad = [f"{none}.{body}.", f"{head}.{forged}.{mac}", other, "", ".", "a.b.c", "é.é.é", text[:-2]]
    bad += [same_key.sign(good, 60), ours.sign(good, -1)]
    for forgery in bad:
        with pytest.raises(Unauthorized):
            ours.verify(forgery)


def test_anonymous_pull_can_be_switched_off(tmp_path):
    from hub_client import Client

    with Hub.open(tmp_path / "h", Options(anonymous_pull=False)) as hub:
        hub.accounts.add("alice", "password-alice")
        with serving(hub) as address, Client(address, "alice") as alice, Client(address) as nobody:
            alice.push_image("alice/app", "v1", b"layer")
            assert nobody("GET", "/v2/alice/app/manifests/v1").status == 401
            assert nobody("GET", "/v2/_catalog").json == {"repositories": []}
            assert nobody("GET", "/auth/token").status == 401


def test_guessing_is_slowed_down(connect):
    nobody = connect()
    nobody.auth = {"Authorization": "Basic " + base64.b64encode(b"alice:guess").decode()}
    statuses = [nobody("GET", "/v2/").status for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    answer = nobody("GET", "/v2/")
    assert answer.code == "TOOMANYREQUESTS"
    assert 0 < int(answer.headers["Retry-After"]) <= 61
    assert connect("bob")("GET", "/v2/").status == 200


def test_throttle_forgets():
    now = [1000.0]
    throttle = Throttle(lambda: now[0])
    for _ in range(5):
        throttle.failed("1.2.3.4", "alice")
    assert throttle.wait_time("1.2.3.4", "alice") == 61
    assert throttle.wait_time("5.6.7.8", "alice") == 0
    throttle.succeeded("1.2.3.4", "alice")
    assert throttle.wait_time("1.2.3.4", "alice") == 0
    for _ in range(5):
        throttle.failed("1.2.3.4", "alice")
    now[0] += 61
    assert throttle.wait_time("1.2.3.4", "alice") == 0
    for n in range(30):
        throttle.failed("1.2.3.4", f"user{n}")
    assert throttle.wait_time("1.2.3.4", "fresh") > 0


def test_unknown_names_cost_a_hash_too(hub, monkeypatch):
    """Counted, not timed: the same number of scrypt runs for a wrong name and a wrong password."""
    runs: list[int] = []
    real = hashlib.scrypt
    monkeypatch.setattr(hashlib, "scrypt", lambda *a, **k: runs.append(k["n"]) or real(*a, **k))
    hub.accounts.check("alice", "wrong")
    hub.accounts.check("nobody", "wrong")
    assert len(runs) == 2
    assert runs[0] == runs[1]
    hub.accounts.check("alice", "password-alice")
    hub.accounts.check("alice", "password-alice")
    assert len(runs) == 3


def test_page_escapes_and_forbids_scripts(connect):
    connect("root1").push_image("library/app", "v1", b"layer")
    answer = connect()("GET", "/")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert b"library/app:v1" in answer.body
    assert b"<script" not in answer.body
