"""Registries to talk to: Debian's docker-registry, and one in this process that lies on demand."""

from __future__ import annotations

import http.server
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from kobako.linux.fork import Undisturbed
from kobako.oci.config import ImageConfig
from kobako.oci.descriptor import Descriptor
from kobako.oci.digest import Digest
from kobako.oci.manifest import Manifest
from kobako.oci.mediatypes import OCI_CONFIG, OCI_LAYER
from kobako.remote.client import Limits
from kobako.store.store import Store

QUICK = Limits(connect=5.0, read=1.0, document=2.0, attempts=3, backoff=0.01, pause=0.05)


class Peer:
    """A docker-registry process."""

    def __init__(self, root: Path, users: dict[str, str] | None = None) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        auth = ""
        if users:
            passwd = root / "htpasswd"
            for user, word in users.items():
                line = subprocess.run(
                    ["htpasswd", "-nbBC4", user, word], check=True, capture_output=True, text=True
                ).stdout.strip()
                passwd.write_text((passwd.read_text() if passwd.exists() else "") + line + "\n")
            auth = f"auth:\n  htpasswd:\n    realm: test\n    path: {passwd}\n"
        config = root / "config.yml"
        config.write_text(
            "version: 0.1\nlog: {level: error}\nstorage:\n  delete: {enabled: true}\n"
            f"  filesystem: {{rootdirectory: {root}/data}}\n"
            f"http: {{addr: '127.0.0.1:{self.port}'}}\n{auth}"
        )
        with open(root / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", str(config)], stdout=log, stderr=log
            )
        self.host = f"127.0.0.1:{self.port}"
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                assert self.process.poll() is None, (root / "log").read_text()
                time.sleep(0.02)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def make_image(
    store: Store, layers: list[bytes], *, platform: tuple[str, str] = ("linux", "amd64")
) -> Manifest:
    """An image of layers that need not be tars, put into the store."""
    stack = tuple(Descriptor(OCI_LAYER, store.blobs.put(data), len(data)) for data in layers)
    config = ImageConfig.build(
        {
            "os": platform[0],
            "architecture": platform[1],
            "rootfs": {
                "type": "layers",
                "diff_ids": [str(Digest.of(b"diff of " + data)) for data in layers],
            },
        }
    )
    store.blobs.put(config.raw)
    manifest = Manifest.build(Descriptor(OCI_CONFIG, config.digest, len(config.raw)), stack)
    store.blobs.put(manifest.raw)
    return manifest


class Request:
    """What a hostile server's script sees: method, path, headers, body; and how it answers."""

    def __init__(self, handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        self.handler = handler
        self.method = handler.command
        self.path = handler.path
        self.headers = handler.headers
        self.body = body

    def raw(self, data: bytes) -> None:
        """Bytes instead of an answer; the connection ends after it."""
        self.handler.wfile.write(data)
        self.handler.close_connection = True

    def answer(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        """A proper answer; header names have underscores for hyphens. 0-length by default."""
        lines = [f"HTTP/1.1 {status} Whatever"]
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given.setdefault("Content-Length", str(len(body)))
        lines += [f"{name}: {value}" for name, value in given.items()]
        self.handler.wfile.write("\r\n".join([*lines, "", ""]).encode())
        if self.method != "HEAD":
            self.handler.wfile.write(body)


class Hostile:
    """An HTTP server in this process; `script` answers each request."""

    def __init__(self, script: Callable[[Request], None]) -> None:
        self.script = script
        self.requests: list[Request] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self, body)
                outer.requests.append(request)
                try:
                    outer.script(request)
                except OSError:
                    self.close_connection = True

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = serve  # noqa: N815 - the base's names

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        with (
            Undisturbed()
        ):  # no thread of ours takes a signal the program's main thread has blocked
            self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def seen(self, method: str, part: str) -> list[Request]:
        return [r for r in self.requests if r.method == method and part in r.path]
