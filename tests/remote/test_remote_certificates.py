"""Directories as docker's certs.d: whom to believe, and who we are, by host."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kobako.errors import Invalid, KobakoError
from kobako.remote.client import Client
from kobako.remote.endpoint import HostConfig, RegistryConfig
from kobako.remote.registry import Registry
from kobako.remote.transport import Transport

pytestmark = pytest.mark.needs("openssl")


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key."""
    directory = tmp_path_factory.mktemp("pair")
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def demanding(pair: tuple[Path, Path]) -> Iterator[str]:
    """`host:port` of a server that speaks to those alone who show the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    context.load_verify_locations(pair[0])
    context.verify_mode = ssl.CERT_REQUIRED
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # refusals are expected
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def reach(domain: str, client: Client, *directories: Path) -> None:
    config = RegistryConfig(certificates=tuple(str(d) for d in directories))
    with Transport(client.replace(registries=config)) as transport:
        Registry(domain, transport).first(lambda session: session)


def test_a_client_certificate_is_shown(
    demanding: str, pair: tuple[Path, Path], client: Client, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    place = second / demanding
    place.mkdir(parents=True)
    with pytest.raises(KobakoError):
        reach(demanding, client, first, second)
    (place / "ca.crt").write_bytes(pair[0].read_bytes())
    (place / "client.cert").write_bytes(pair[0].read_bytes())
    with pytest.raises(Invalid, match=r"missing key client\.key for client certificate") as caught:
        reach(demanding, client, first, second)
    assert ".crt" in caught.value.hint
    (place / "client.key").write_bytes(pair[1].read_bytes())
    reach(demanding, client, first, second)
    # The first directory that has the host's counts.
    (first / demanding).mkdir(parents=True)
    with pytest.raises(KobakoError):
        reach(demanding, client, first, second)
    (first / demanding / "ca.crt").write_text("no certificate")
    with pytest.raises(Invalid, match=f"cannot load the certificates of {demanding}"):
        reach(demanding, client, first, second)


def test_its_authorities_stand_beside_the_systems(pair: tuple[Path, Path], tmp_path: Path) -> None:
    from kobako.remote import transport

    before = transport._context(HostConfig("r.test"), True).get_ca_certs()
    place = tmp_path / "r.test"
    place.mkdir()
    (place / "any.crt").write_bytes(pair[0].read_bytes())
    config = RegistryConfig((HostConfig("r.test", insecure=True),), certificates=(str(tmp_path),))
    host = config.host("r.test")
    assert host.insecure and host.certificates == str(place)
    after = transport._context(host, True).get_ca_certs()
    assert len(after) == len(before) + 1


@pytest.mark.parametrize("domain", ["", ".", ".."])
def test_no_name_leads_elsewhere(domain: str, tmp_path: Path) -> None:
    assert not RegistryConfig(certificates=(str(tmp_path),)).host(domain).certificates
