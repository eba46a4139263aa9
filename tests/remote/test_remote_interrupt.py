"""Ctrl-C in the middle: threads end at once, and the next attempt goes on from there."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from remote_servers import Hostile, Request, make_image
from urllib3.connection import HTTPConnection

from kobako.events import Event, LayerProgress
from kobako.linux.fork import Undisturbed
from kobako.oci.platform import Platform
from kobako.oci.reference import Reference
from kobako.remote import workers
from kobako.remote.client import Client
from kobako.remote.endpoint import HostConfig
from kobako.remote.failures import Cancelled
from kobako.remote.pull import pull
from kobako.remote.push import push
from kobako.remote.transport import Transport
from kobako.store.leases import live
from kobako.store.store import Store

AMD64 = Platform("linux", "amd64")


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where the suite was started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_pull_leaves_no_thread_and_keeps_whole_blobs(
    hostile: Callable[[Callable[[Request], None]], Hostile],
    make_store: Callable[[], Store],
) -> None:
    source, target = make_store(), make_store()
    manifest = make_image(source, [b"arrives", b"hangs" * 1000, b"hangs too" * 1000])
    hanging = {str(layer.digest) for layer in manifest.layers[1:]}
    release = threading.Event()

    def script(request: Request) -> None:
        name = request.path.split("/")[-1]
        if name in hanging and not release.is_set():
            size = source.blobs.size(type(manifest.digest).parse(name))
            request.handler.wfile.write(
                f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
            )
            request.handler.wfile.write(b"hangs")
            release.wait(60)
            request.handler.close_connection = True
        elif "/manifests/" in request.path:
            request.answer(200, manifest.raw, Content_Type=manifest.media_type)
        elif "/blobs/" in request.path:
            request.answer(200, source.blobs.read(type(manifest.digest).parse(name)))
        else:
            request.answer(200)

    server = hostile(script)
    name = Reference.parse(f"{server.host}/x")
    hung: set[str] = set()
    arrived = manifest.layers[0].digest

    def watch(event: Event) -> None:
        if isinstance(event, LayerProgress):
            if event.action == "Downloading" and event.id != arrived.short:
                hung.add(event.id)
            if event.action == "Download complete":
                hung.add("done")
            if len(hung) == 3:
                hung.clear()
                interrupt()

    with pytest.raises(KeyboardInterrupt):
        pull(target, name, AMD64, Client(), watch)
    assert not [t for t in threading.enumerate() if t.name.startswith("kobako")]
    assert target.blobs.exists(arrived)
    assert os.listdir(target.ingest_dir) == []
    assert list(live(target)) == []
    release.set()
    before = len(server.seen("GET", str(arrived)))
    pull(target, name, AMD64, Client())
    assert len(server.seen("GET", str(arrived))) == before
    assert all(target.blobs.exists(layer.digest) for layer in manifest.layers)


def test_who_is_just_connecting_is_broken_off_too(
    hostile: Callable[[Callable[[Request], None]], Hostile], monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def hang(_: Request) -> None:
        release.wait(60)

    server = hostile(hang)
    connect = HTTPConnection._new_conn

    def slowly(connection: HTTPConnection) -> socket.socket:
        made = connect(connection)
        transport.abort()
        return made

    monkeypatch.setattr(HTTPConnection, "_new_conn", slowly)
    try:
        with Transport(Client()) as transport, pytest.raises(Cancelled):
            transport.request("GET", f"http://{server.host}/", host=HostConfig(""), verify=True,
                              headers={})  # fmt: skip
    finally:
        release.set()


def test_an_interrupted_push_leaves_no_thread(
    hostile: Callable[[Callable[[Request], None]], Hostile], store: Store
) -> None:
    release = threading.Event()

    def script(request: Request) -> None:
        if request.method == "POST":
            release.wait(60)
        request.answer(200 if request.path == "/v2/" else 404)

    server = hostile(script)
    manifest = make_image(store, [b"one", b"two"])
    timer = threading.Thread(target=lambda: (_until(lambda: server.seen("POST", "/")), interrupt()))
    with Undisturbed():
        timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            push(store, manifest.digest, Reference.parse(f"{server.host}/x"), Client())
        assert not [t for t in threading.enumerate() if t.name.startswith("kobako")]
    finally:
        release.set()
        timer.join()


def test_the_first_failure_is_the_one_told() -> None:
    aborted = threading.Event()

    def waits() -> None:
        assert aborted.wait(60)
        raise Cancelled

    def fails() -> None:
        raise LookupError("this one")

    begun: list[int] = []
    with pytest.raises(LookupError, match="this one"):
        workers.run([waits, fails, lambda: begun.append(1)], 2, aborted.set)
    assert begun == []
    with pytest.raises(LookupError):
        workers.run([fails], 3, aborted.set)
    workers.run([], 3, aborted.set)


def _until(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.01)
