"""The server against well-behaved, slow, broken and hostile clients."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from kobako.errors import Conflict, Invalid, NotFound
from kobako.http import FileBody, Limits, Request, Response, Router, Served, Server, Upgrade

HOST = b"Host: x\r\n"


class Site:
    """A running server with what it reported."""

    def __init__(self, limits: Limits) -> None:
        self.served: list[Served] = []
        self.faults: list[BaseException] = []
        self.entered = threading.Event()
        self.release = threading.Event()
        router = Router()
        router.add("GET POST PUT", "/echo", lambda r: Response(200, (), r.body.read(1 << 20)))
        router.add("PUT", "/hash", self.hash)
        router.add("POST", "/unread", lambda r: Response.text(200, "not read"))
        router.add("GET", "/stream", lambda r: Response(200, (), iter([b"one", b"", b"two"])))
        router.add("GET", "/breaks", lambda r: Response(200, (), self.broken()))
        router.add("GET", "/fault", lambda r: 1 / 0)
        router.add("GET", "/missing", self.missing)
        router.add("GET", "/split", lambda r: Response(200, (("X", "a\r\nEvil: 1"),), b""))
        router.add("GET", "/slow", self.slow)
        router.add("GET", "/file/{path...}", self.file)
        router.add("POST", "/hijack", lambda r: Upgrade(self.talk))
        router.add("GET", "/names/{name...}/tags/{tag}", lambda r: Response.json(200, r.params))
        self.server = Server(
            router,
            limits=limits,
            on_served=self.served.append,
            on_fault=lambda error, where: self.faults.append(error),
        )
        self.address = self.server.listen_tcp("127.0.0.1", 0)
        self.server.start()

    def hash(self, request: Request) -> Response:
        self.entered.set()
        digest = hashlib.sha256()
        for piece in request.body.chunks(1 << 16):
            digest.update(piece)
        return Response.text(200, digest.hexdigest())

    def broken(self) -> Iterator[bytes]:
        yield b"begun"
        raise OSError("the disk is gone")

    def missing(self, request: Request) -> Response:
        raise NotFound("no such thing")

    def slow(self, request: Request) -> Response:
        self.entered.set()
        self.release.wait(30)
        return Response.text(200, "done")

    def file(self, request: Request) -> Response:
        file = open("/" + request.params["path"], "rb")
        return Response(200, (), FileBody(file, 2, os.fstat(file.fileno()).st_size - 2))

    def talk(self, sock: socket.socket, early: bytes) -> None:
        sock.sendall(b"early:" + early + b"\n")
        while data := sock.recv(100):
            sock.sendall(data.upper())

    def raw(self, data: bytes, *, shut: bool = True) -> bytes:
        """Send bytes as they are; everything that comes back until the end."""
        with socket.create_connection(self.address, timeout=20) as sock:
            sock.sendall(data)
            if shut:
                sock.shutdown(socket.SHUT_WR)
            got = b""
            while piece := sock.recv(65536):
                got += piece
        return got


@pytest.fixture
def make() -> Iterator[Callable[..., Site]]:
    sites: list[Site] = []

    def build(**limits: float) -> Site:
        sites.append(Site(Limits(linger=0.2, **limits)))
        return sites[-1]

    yield build
    for site in sites:
        site.release.set()
        site.server.close(grace=5)


@pytest.fixture
def site(make) -> Site:
    return make()


@pytest.fixture
def client(site) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(*site.address, timeout=20)
    yield connection
    connection.close()


def ask(client, method: str, path: str, body=None, headers=None):
    client.request(method, path, body, headers or {}, encode_chunked=True)
    response = client.getresponse()
    return response, response.read()


def test_bodies_both_ways_on_one_connection(site, client):
    data = os.urandom(3_000_000)
    wanted = hashlib.sha256(data).hexdigest().encode()
    first = None
    for sizes in (None, 1, 7, 32768, 1_000_000):
        if sizes is None:
            body, headers = data, {}
        elif sizes < 10:
            body, headers = (data[i : i + sizes] for i in range(0, 5000, sizes)), {}
        else:
            body, headers = (data[i : i + sizes] for i in range(0, len(data), sizes)), {}
        if sizes is not None:
            headers = {"Transfer-Encoding": "chunked"}
        response, answer = ask(client, "PUT", "/hash", body, headers)
        assert response.status == 200
        if sizes is None or sizes > 10:
            assert answer == wanted
        first = first or client.sock
        assert client.sock is first
    assert [s.status for s in site.served[:4]] == [200] * 4
    assert site.served[0].received > len(data)
    assert not site.faults


def test_stream_head_and_errors(site, client):
    assert ask(client, "GET", "/stream")[1] == b"onetwo"
    response, body = ask(client, "HEAD", "/stream")
    assert (response.status, body) == (200, b"")
    assert ask(client, "GET", "/missing")[0].status == 404
    assert ask(client, "GET", "/nowhere")[0].status == 404
    response, _ = ask(client, "DELETE", "/echo")
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD, POST, PUT")
    assert ask(client, "GET", "/fault")[0].status == 500
    assert [type(e) for e in site.faults] == [ZeroDivisionError]


def test_a_broken_stream_never_looks_complete(site, client):
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        ask(client, "GET", "/breaks")


def test_no_response_splitting(site):
    assert b"Evil" not in site.raw(b"GET /split HTTP/1.1\r\n" + HOST + b"\r\n")


def test_file(site, client, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(os.urandom(300_000))
    for _ in range(2):
        response, body = ask(client, "GET", f"/file{path}")
        assert body == path.read_bytes()[2:]
    response, body = ask(client, "HEAD", f"/file{path}")
    assert (response.headers["Content-Length"], body) == ("299998", b"")


def test_patterns(client):
    _, body = ask(client, "GET", "/names/a/b%2Fc/tags/v1")
    assert body == b'{"name":"a/b/c","tag":"v1"}\n'


def test_expect_continue(site):
    with socket.create_connection(site.address, timeout=20) as sock:
        head = b"PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        sock.sendall(head)
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"body")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK")
    answer = site.raw(head.replace(b"PUT /echo", b"POST /unread"), shut=False)
    assert b"100 Continue" not in answer
    assert b"Connection: close" in answer


def test_pipelined_and_unread_bodies(site):
    one = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345"
    last = b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert site.raw(one + one + last).count(b"HTTP/1.1 200") == 3


def test_a_long_unread_body_ends_the_connection_politely(site):
    with socket.create_connection(site.address, timeout=20) as sock:
        sock.sendall(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        sock.sendall(bytes(100_000))
        got = b""
        while piece := sock.recv(65536):
            got += piece
    assert got.startswith(b"HTTP/1.1 200 OK")
    assert b"Connection: close" in got


@pytest.mark.parametrize("upgrade", [True, False])
def test_hijack_loses_no_early_bytes(site, upgrade):
    fields = b"Connection: Upgrade\r\nUpgrade: tcp\r\n" if upgrade else b""
    with socket.create_connection(site.address, timeout=20) as sock:
        sock.sendall(b"POST /hijack HTTP/1.1\r\n" + HOST + fields + b"\r\nsent before the answer")
        with sock.makefile("rb") as stream:
            status = stream.readline()
            assert status.startswith(b"HTTP/1.1 101" if upgrade else b"HTTP/1.1 200")
            headers = []
            while (line := stream.readline()) != b"\r\n":
                headers.append(line)
            assert (b"Upgrade: tcp\r\n" in headers) == upgrade
            assert stream.readline() == b"early:sent before the answer\n"
            sock.sendall(b"later")
            assert stream.read(5) == b"LATER"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400),
        (b"PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (
            b"PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"PUT /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n", 413),
        (b"GET /echo HTTP/1.1\r\nHost: x\r\nFolded: a\r\n b\r\nBad Name: c\r\n\r\n", 400),
    ],
)
def test_malformed_requests(site, request_bytes, status):
    assert site.raw(request_bytes).split(b" ", 2)[1] == str(status).encode()
    assert not site.faults


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\nhello\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n" + b"a" * 5000,
        b"fffffffffffffffff\r\nhello",
        b"\r\n",
        b"5;" + b"e" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
        b"0\r\n" + b"T: x\r\n" * 5000 + b"\r\n",
    ],
)
def test_malformed_chunks(site, chunks):
    head = b"PUT /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = site.raw(head + chunks)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"Connection: close" in answer


def test_chunk_extensions_and_trailers_are_skipped(site):
    head = b"PUT /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = site.raw(head + b"5;a=b\r\nhello\r\n0\r\nTrailer: x\r\n\r\n")
    assert answer.endswith(b"hello")


def test_slow_clients_are_ended(make):
    site = make(head_time=0.3, body_idle=0.3, keep_alive=0.3)
    for sent in (
        b"",
        b"GET /echo HTTP/1.1\r\nHo",
        b"PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
        b"PUT /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
    ):
        assert site.raw(sent, shut=False) == b""
    answer = site.raw(b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", shut=False)  # ended while idle
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert not site.faults


def test_a_dripping_head_has_one_deadline(make):
    site = make(head_time=0.5)
    with socket.create_connection(site.address, timeout=20) as sock:
        ended = False
        sock.settimeout(0.05)
        for _ in range(200):
            try:
                sock.send(b"G")
                ended = sock.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
            if ended:
                break
        assert ended


def test_more_clients_than_connections(make):
    site = make(connections=4)
    idle = [http.client.HTTPConnection(*site.address, timeout=20) for _ in range(12)]
    for connection in idle:  # each stays open: the longest idle makes room for the next
        assert ask(connection, "GET", "/echo")[0].status == 200
    for connection in idle:
        connection.close()


def test_close_lets_requests_finish(site):
    answers: list[bytes] = []
    request = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
    thread = threading.Thread(target=lambda: answers.append(site.raw(request, shut=False)))
    thread.start()
    assert site.entered.wait(20)
    outcome: list[bool] = []
    closer = threading.Thread(target=lambda: outcome.append(site.server.close(grace=20)))
    closer.start()
    while True:
        try:
            socket.create_connection(site.address, timeout=5).close()
        except OSError:
            break
    site.release.set()
    closer.join()
    thread.join()
    assert outcome == [True]
    assert answers[0].endswith(b"done")
    assert b"Connection: close" in answers[0]
    assert site.server.wait(0)


def test_close_cuts_what_does_not_end(make):
    site = make()
    with socket.create_connection(site.address, timeout=20) as sock:
        sock.sendall(b"PUT /hash HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n")
        assert site.entered.wait(20)
        assert site.server.close(grace=0.2) is False
        assert sock.recv(100) == b""


def test_unix_socket(tmp_path):
    path = str(tmp_path / "s")
    answer = b"GET / HTTP/1.0\r\n\r\n"
    for _ in range(2):  # the second time over a socket file left behind
        server = Server(lambda r: Response.text(200, r.peer or "local"))
        server.listen_unix(path)
        assert os.stat(path).st_mode & 0o777 == 0o600
        server.start()
        with pytest.raises(Conflict):
            Server(lambda r: Response(200)).listen_unix(path)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(answer)
            got = b""
            while piece := sock.recv(1000):
                got += piece
        assert got.endswith(b"local")
        server.close()
        assert not os.path.exists(path)
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(path)
        stale.close()


def test_bad_address():
    with pytest.raises(Invalid, match="no address"):
        Server(lambda r: Response(200)).listen_tcp("no such host.invalid", 0)
