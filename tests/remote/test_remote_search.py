"""search: docker's call where a registry has it, the catalog where not."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from remote_servers import Hostile, Peer, Request, make_image

from kobako.errors import Unauthorized
from kobako.oci.reference import Reference
from kobako.remote.client import Client
from kobako.remote.endpoint import HostConfig, Mirror, RegistryConfig
from kobako.remote.push import push
from kobako.remote.search import Found, search
from kobako.store.store import Store

START = Callable[[Callable[[Request], None]], Hostile]


def test_what_a_registry_tells_of_what_it_found(hostile: START, client: Client) -> None:
    results = [
        {"name": "library/few", "description": "two\nlines \x1b[2J", "star_count": 3},
        {"name": "me/many", "star_count": 9, "is_official": True, "is_automated": True},
        {"name": "odd\x1b"}, {"description": "nameless"}, "no object",
        {"name": "wrong", "description": 1, "star_count": "x", "is_official": "yes"},
    ]  # fmt: skip

    def script(request: Request) -> None:
        known = request.path.startswith("/v1/search")
        request.answer(body=json.dumps({"results": results}).encode() if known else b"{}")

    server = hostile(script)
    assert search(f"{server.host}/a&b", 2, client) == [
        Found(f"{server.host}/me/many", "", 9, True, True),
        Found(f"{server.host}/library/few", "two lines  [2J", 3),
    ]
    assert server.seen("GET", "/v1/search")[0].path == "/v1/search?q=a%26b&n=2"
    assert Found(f"{server.host}/wrong") in search(f"{server.host}/", 25, client)


@pytest.mark.parametrize("answer", [(404, b""), (405, b"{}"), (200, b"<html>"), (200, b"[]")])
def test_a_registry_that_has_no_search_is_asked_for_its_catalog(
    hostile: START, client: Client, answer: tuple[int, bytes]
) -> None:
    def script(request: Request) -> None:
        if request.path.startswith("/v1/"):
            request.answer(*answer)
        elif "_catalog" in request.path:
            request.answer(body=b'{"repositories": ["library/tool", "me/tools", "other"]}')
        else:
            request.answer(body=b"{}")

    server = hostile(script)
    names = [f"{server.host}/library/tool", f"{server.host}/me/tools"]
    assert [found.name for found in search(f"{server.host}/tool", 25, client)] == names
    assert search(f"{server.host}/tool", 1, client) == [Found(names[0])]
    mirrored = RegistryConfig((HostConfig("docker.io", (Mirror(f"http://{server.host}"),)),))
    here = Client(mirrored, limits=client.limits)
    assert [found.name for found in search("tool", 25, here)] == ["tool", "me/tools"]
    assert [found.name for found in search("docker.io/me/", 25, here)] == ["me/tools"]


def test_debians_registry_is_searched(docker_registry: Peer, store: Store, client: Client) -> None:
    manifest = make_image(store, [b"one"])
    for name in ("sought/one", "else/where"):
        reference = Reference.parse(f"{docker_registry.host}/{name}:1")
        push(store, manifest.digest, reference, client, lambda _: None)
    found = search(f"{docker_registry.host}/sought", 25, client)
    assert found == [Found(f"{docker_registry.host}/sought/one")]


def test_who_must_log_in_is_told(guarded_registry: Peer, client: Client) -> None:
    with pytest.raises(Unauthorized, match="catalog"):
        search(f"{guarded_registry.host}/x", 25, client)
