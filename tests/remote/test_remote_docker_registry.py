"""Pull and push against Debian's docker-registry, with skopeo as the other side."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from remote_servers import Peer, make_image

from kobako.errors import Corrupt, Invalid, NotFound, Unauthorized, Unavailable
from kobako.events import Event, LayerProgress, Status
from kobako.oci.descriptor import Descriptor
from kobako.oci.digest import Digest
from kobako.oci.manifest import Index, Manifest
from kobako.oci.platform import Platform
from kobako.oci.reference import Reference
from kobako.remote import registry
from kobako.remote.client import Client
from kobako.remote.credentials import CredentialFile
from kobako.remote.endpoint import HostConfig, Mirror, RegistryConfig
from kobako.remote.login import login, logout, stored
from kobako.remote.pull import pull
from kobako.remote.push import push
from kobako.remote.registry import Registry
from kobako.remote.repository import Repository
from kobako.remote.transport import Transport
from kobako.store.store import Store

pytestmark = pytest.mark.needs("docker-registry", "skopeo")

AMD64 = Platform("linux", "amd64")


def ref(peer: Peer, name: str) -> Reference:
    return Reference.parse(f"{peer.host}/{name}")


def actions(events: list[Event]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for event in events:
        if isinstance(event, LayerProgress):
            said = found.setdefault(event.id, [])
            if event.action not in said:
                said.append(event.action)
    return found


def test_what_is_pushed_is_pulled(
    docker_registry: Peer, make_store: Callable[[], Store], client: Client, noise: bytes
) -> None:
    mine, other = make_store(), make_store()
    manifest = make_image(mine, [noise, b"small", b""])
    name = ref(docker_registry, "round/trip:1")
    events: list[Event] = []
    pushed = push(mine, manifest.digest, name, client, events.append)
    assert pushed == manifest.descriptor
    shown = actions(events)
    assert set(shown) == {Digest.of(b"diff of " + d).short for d in (noise, b"small", b"")}
    assert all(s[0] == "Preparing" and s[-1] == "Pushed" for s in shown.values())

    events.clear()
    pulled = pull(other, name, AMD64, client, events.append)
    assert pulled.target == pulled.manifest == manifest.descriptor
    assert Status("1: Pulling from round/trip") in events
    big = actions(events)[manifest.layers[0].digest.short]
    assert big == ["Pulling fs layer", "Downloading", "Verifying Checksum", "Download complete"]
    for blob in (manifest.config, *manifest.layers, manifest.descriptor):
        other.blobs.read(blob.digest)

    events.clear()
    assert pull(other, name, AMD64, client, events.append, known=manifest.digest) == pulled
    assert not actions(events)  # docker says nothing of the layers of an image it has
    events.clear()
    push(mine, manifest.digest, name, client, events.append)
    assert all(s[-1] == "Layer already exists" for s in actions(events).values())


def test_blobs_are_mounted_from_where_they_were_pulled(
    docker_registry: Peer, make_store: Callable[[], Store], client: Client
) -> None:
    mine, other = make_store(), make_store()
    manifest = make_image(mine, [b"a layer to mount"])
    push(mine, manifest.digest, ref(docker_registry, "library/python"), client)
    pull(other, ref(docker_registry, "library/python"), AMD64, client)
    events: list[Event] = []
    push(other, manifest.digest, ref(docker_registry, "account/tool"), client, events.append)
    (shown,) = actions(events).values()
    assert shown[-1] == "Mounted from library/python"
    # So are those this store has pushed itself.
    events.clear()
    push(mine, manifest.digest, ref(docker_registry, "account/same"), client, events.append)
    (shown,) = actions(events).values()
    assert shown[-1] == "Mounted from library/python"
    # A candidate that is wrong costs a request, not the push.
    manifest = make_image(other, [b"another layer"])
    push(other, manifest.digest, ref(docker_registry, "account/more"), client, mounts=("no/such",))
    assert registry.tags(ref(docker_registry, "account/more"), client) == ["latest"]


def test_a_manifest_damaged_here_is_fetched_again(
    docker_registry: Peer, make_store: Callable[[], Store], client: Client
) -> None:
    mine, other = make_store(), make_store()
    manifest = make_image(mine, [b"layer"])
    name = ref(docker_registry, "damaged/here")
    push(mine, manifest.digest, name, client)
    pull(other, name, AMD64, client)
    os.truncate(other.blobs.path(manifest.digest), 10)
    pull(other, name, AMD64, client, known=manifest.digest)
    assert other.blobs.read(manifest.digest) == manifest.raw


def test_a_pull_that_does_not_fit_says_so_before_it_begins(
    docker_registry: Peer,
    make_store: Callable[[], Store],
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine, other = make_store(), make_store()
    manifest = make_image(mine, [b"x" * 5000])
    push(mine, manifest.digest, ref(docker_registry, "too/big"), client)
    room = os.statvfs(other.root)
    full = os.statvfs_result((*room[:4], 1, *room[5:]))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(Unavailable, match=f"needs 5000 bytes, but only {room.f_frsize} are free"):
        pull(other, ref(docker_registry, "too/big"), AMD64, client)
    assert not other.blobs.exists(manifest.layers[0].digest)


def test_an_index_goes_and_comes_by_platform(
    docker_registry: Peer, make_store: Callable[[], Store], client: Client
) -> None:
    mine, other = make_store(), make_store()
    kinds = (("linux", "amd64"), ("linux", "arm64"))
    images = [make_image(mine, [f"{a}".encode()], platform=(o, a)) for o, a in kinds]
    index = Index.build(
        m.descriptor.replace(platform=Platform(*kind))
        for m, kind in zip(images, kinds, strict=True)
    )
    mine.blobs.put(index.raw)
    name = ref(docker_registry, "multi:x")
    assert push(mine, index.digest, name, client) == index.descriptor
    pulled = pull(other, name, Platform("linux", "arm64", "v8"), client)
    assert (pulled.target.digest, pulled.manifest.digest) == (index.digest, images[1].digest)
    assert not other.blobs.exists(images[0].digest)
    with pytest.raises(NotFound, match="no matching manifest for linux/s390x") as caught:
        pull(other, name, Platform("linux", "s390x"), client)
    assert "linux/amd64" in caught.value.hint and "linux/arm64" in caught.value.hint
    with pytest.raises(NotFound, match="its index names the manifest"):
        push(other, index.digest, ref(docker_registry, "partial"), client)
    by_digest = name.replace(tag=None, digest=index.digest)
    assert pull(other, by_digest, AMD64, client).manifest.digest == images[0].digest


def test_skopeo_agrees_both_ways(
    docker_registry: Peer,
    make_store: Callable[[], Store],
    client: Client,
    tmp_path: Path,
    noise: bytes,
) -> None:
    mine, other = make_store(), make_store()
    manifest = make_image(mine, [noise])
    push(mine, manifest.digest, ref(docker_registry, "by/kobako"), client)
    source = f"docker://{docker_registry.host}/by/kobako"
    layout = f"oci:{tmp_path}/layout:it"
    plain = ["--insecure-policy", "--tmpdir", str(tmp_path)]
    subprocess.run(
        ["skopeo", *plain, "copy", "-q", "--src-tls-verify=false", source, layout], check=True
    )
    for kind in ("oci", "v2s2"):
        target = f"docker://{docker_registry.host}/by/skopeo:{kind}"
        subprocess.run(
            ["skopeo", *plain, "copy", "-q", "-f", kind, "--dest-tls-verify=false", layout, target],
            check=True,
        )
        pulled = pull(other, ref(docker_registry, f"by/skopeo:{kind}"), AMD64, client)
        assert ("docker" in pulled.target.media_type) == (kind == "v2s2")
        assert other.blobs.exists(manifest.config.digest)


def test_tags_catalog_resolve_delete(docker_registry: Peer, store: Store, client: Client) -> None:
    manifest = make_image(store, [b"listed"])
    for tag in ("one", "two"):
        push(store, manifest.digest, ref(docker_registry, f"listed:{tag}"), client)
    name = ref(docker_registry, "listed:one")
    assert registry.tags(name, client) == ["one", "two"]
    assert "listed" in registry.catalog(docker_registry.host, client)
    assert registry.resolve(name, client) == manifest.descriptor
    registry.delete(name, client)
    with pytest.raises(NotFound, match=r"manifest for .*/listed:one not found: manifest unknown"):
        registry.resolve(name, client)
    with pytest.raises(
        NotFound, match=r"manifest for .*/nosuch:latest not found: manifest unknown"
    ):
        pull(store, ref(docker_registry, "nosuch"), AMD64, client)
    with pytest.raises(NotFound):
        registry.tags(ref(docker_registry, "nosuch"), client)


def test_a_mirror_answers_for_docker_io(
    docker_registry: Peer, make_store: Callable[[], Store], client: Client
) -> None:
    mine, other = make_store(), make_store()
    mirror = Mirror(f"http://{docker_registry.host}", push=True)
    config = RegistryConfig((HostConfig("docker.io", mirrors=(mirror,)),))
    client = client.replace(registries=config)
    manifest = make_image(mine, [b"official"])
    name = Reference.parse("official")
    push(mine, manifest.digest, name, client)
    assert pull(other, name, AMD64, client).host == docker_registry.host
    assert registry.resolve(ref(docker_registry, "library/official"), client).digest == (
        manifest.digest
    )


def test_endpoints_fall_through_in_order(
    docker_registry: Peer, make_store: Callable[[], Store], client: Client
) -> None:
    mine, other = make_store(), make_store()
    manifest = make_image(mine, [b"behind dead mirrors"])
    name = ref(docker_registry, "fall/through")
    push(mine, manifest.digest, name, client)
    mirrors = (Mirror("http://127.0.0.1:9"), Mirror(f"http://{docker_registry.host}/sub"))
    config = RegistryConfig((HostConfig(docker_registry.host, mirrors=mirrors),))
    assert pull(other, name, AMD64, client.replace(registries=config)).host == name.domain
    absent = ref(docker_registry, "fall/absent")
    with pytest.raises(NotFound) as caught:
        pull(other, absent, AMD64, client.replace(registries=config))
    for tried in ("127.0.0.1:9", "/sub", f"https://{name.domain}"):
        assert tried.removeprefix("https://") in caught.value.message


def test_login_and_what_it_opens(
    guarded_registry: Peer, make_store: Callable[[], Store], client: Client, tmp_path: Path
) -> None:
    mine, other = make_store(), make_store()
    manifest = make_image(mine, [b"guarded"])
    name = ref(guarded_registry, "alice/thing")
    file = CredentialFile(str(tmp_path / "docker" / "config.json"))
    client = client.replace(credentials=file)
    with pytest.raises(Unauthorized, match="authentication required") as caught:
        push(mine, manifest.digest, name, client)
    assert "kobako login" in caught.value.hint
    with pytest.raises(Unauthorized, match="pull access denied for"):
        pull(other, name, AMD64, client)
    with pytest.raises(Unauthorized, match="401 Unauthorized") as caught:
        login(guarded_registry.host, "alice", "wrong-word", client)
    assert "wrong-word" not in str(caught.value) + caught.value.hint
    assert not (tmp_path / "docker").exists()

    done = login(guarded_registry.host, "alice", "se:cret", client)
    assert done.unencrypted_path == file.path
    assert stored(guarded_registry.host, client).username == "alice"
    push(mine, manifest.digest, name, client)
    assert pull(other, name, AMD64, client).manifest == manifest.descriptor
    assert "alice/thing" in registry.catalog(guarded_registry.host, client)
    assert logout(guarded_registry.host, client)
    assert not logout(guarded_registry.host, client)
    with pytest.raises(Unauthorized):
        registry.tags(name, client)


def test_login_where_nobody_asks(docker_registry: Peer, client: Client, tmp_path: Path) -> None:
    client = client.replace(credentials=CredentialFile(str(tmp_path / "config.json")))
    assert login(docker_registry.host, "any", "thing", client).host == docker_registry.host


def test_an_answer_nobody_closed_ends_with_its_transport(
    docker_registry: Peer, client: Client
) -> None:
    before = os.listdir("/proc/self/fd")
    with Transport(client) as transport:
        session = Registry(docker_registry.host, transport).first(lambda session: session)
        answer = session.request("GET", "/v2/_catalog")
    assert answer.status == 200
    assert os.listdir("/proc/self/fd") == before


def test_nobody_listens(store: Store, client: Client) -> None:
    with pytest.raises(
        Unavailable, match=r"dial tcp 127\.0\.0\.1:9: connect: connection refused"
    ) as c:
        pull(store, Reference.parse("127.0.0.1:9/x"), AMD64, client)
    assert "127.0.0.1:9" in c.value.hint
    with pytest.raises(Invalid, match="cannot push a digest reference"):
        push(store, Digest.EMPTY, Reference.parse(f"localhost:9/x@{Digest.EMPTY}"), client)


def test_local_faults_are_told(store: Store, client: Client, docker_registry: Peer) -> None:
    manifest = make_image(store, [b"to be lost"])
    store.blobs.delete(manifest.layers[0].digest)
    with pytest.raises(NotFound, match="the store lacks its layer"):
        push(store, manifest.digest, ref(docker_registry, "lost"), client)
    with pytest.raises(NotFound):
        push(store, Digest.of(b"nothing"), ref(docker_registry, "lost"), client)
    manifest = make_image(store, [b"to be damaged"])
    with open(store.blobs.path(manifest.layers[0].digest), "r+b") as file:
        file.write(b"TO")
    with pytest.raises(Corrupt, match="damaged"):
        push(store, manifest.digest, ref(docker_registry, "damaged"), client)


def test_a_manifest_that_lies_about_what_we_have(
    docker_registry: Peer, make_store: Callable[[], Store], client: Client
) -> None:
    store = make_store()
    manifest = make_image(store, [b"sized"])
    layer = manifest.layers[0]
    lying = Manifest.build(manifest.config, [Descriptor(layer.media_type, layer.digest, 6)])
    store.blobs.put(lying.raw)
    name = ref(docker_registry, "lying")
    push(store, manifest.digest, name, client)
    with pytest.raises(Corrupt, match="its manifest says"):
        push(store, lying.digest, name, client)
    with Transport(client) as transport:
        session = Registry(name.domain, transport).first(lambda session: session)
        Repository(session, name).put_manifest(lying, "latest")
    with pytest.raises(Corrupt, match="its manifest says"):
        pull(store, name, AMD64, client)
    with pytest.raises(Corrupt, match="the server has 5 bytes instead of 6"):
        pull(make_store(), name, AMD64, client)
