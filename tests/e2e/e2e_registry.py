"""Registries on loopback: kobako's hub and Debian's docker-registry."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from e2e_command import Kobako, eventually

CONFIG = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"{tls}}}
"""
TLS = ", tls: {{certificate: {certificate}, key: {key}}}"


class HubServer:
    """A hub with the accounts admin and account, unless it is `open`. `address` is host:port."""

    admin = "admin", "hako-admin"
    account = "account", "hako-account"

    def __init__(self, kobako: Kobako, directory: Path, *, everybody: bool = False) -> None:
        directory.mkdir()
        data, file = str(directory / "data"), directory / "address"
        for (name, password), role in ((self.admin, ["--admin"]), (self.account, [])):
            kobako(
                "hub", "user", "add", "--data", data, *role, "--password-stdin", name,
                data=password.encode(),
            )  # fmt: skip
        self.log = open(directory / "log", "wb")
        self.process = kobako.popen(
            "hub", "serve", *["--open"] * everybody, "--data", data,
            "--listen", "127.0.0.1:0", "--address-file", str(file),
            stdout=self.log, stderr=self.log,
        )  # fmt: skip
        eventually(lambda: file.exists() or self.process.poll() is not None, "the hub serves")
        assert self.process.poll() is None, (directory / "log").read_text()
        self.address = file.read_text().strip()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


class DockerRegistry:
    """Debian's docker-registry, open to everybody; with a certificate (and its key) by TLS."""

    def __init__(self, directory: Path, certificate: tuple[Path, Path] | None = None) -> None:
        directory.mkdir()
        tls = ""
        if certificate is not None:
            tls = TLS.format(certificate=certificate[0], key=certificate[1])
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        config = directory / "registry.yml"
        config.write_text(CONFIG.format(root=directory / "data", port=port, tls=tls))
        self.address = f"127.0.0.1:{port}"
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=quiet, stderr=quiet, env=os.environ
        )
        eventually(self._answers, "docker-registry serves")

    def _answers(self) -> bool:
        assert self.process.poll() is None
        host, port = self.address.split(":")
        try:
            socket.create_connection((host, int(port))).close()
        except OSError:
            return False
        return True

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def skopeo(*words: str) -> str:
    """What skopeo prints; it must succeed."""
    return subprocess.run(
        ["skopeo", *words], check=True, capture_output=True, text=True, timeout=120
    ).stdout
