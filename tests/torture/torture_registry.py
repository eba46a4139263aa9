"""A registry in a process of its own, and one that lies."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from torture_command import Kobako


class Registry:
    """A hub on loopback. `address` is host:port."""

    def __init__(self, kobako: Kobako, directory: Path) -> None:
        file = directory / "address"
        directory.mkdir()
        self.log = open(directory / "log", "wb")
        self.process = kobako.popen(
            "hub", "serve", "--open", "--data", str(directory / "data"),
            "--listen", "127.0.0.1:0", "--address-file", str(file),
            stdout=self.log, stderr=self.log,
        )  # fmt: skip
        while not file.exists():
            assert self.process.poll() is None, (directory / "log").read_text()
            time.sleep(0.01)
        self.address = file.read_text().strip()

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
