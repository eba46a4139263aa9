"""Where a comparison happens: a scratch directory, archives made from one tar, servers, processes.

Everything started here is stopped, and everything written here removed, when the block is left.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path


class Identity:
    """Who runs a command: this user, or (as root) another one with a clean environment."""

    def __init__(self, user: str = "") -> None:
        import pwd

        self.user = user
        self.account = pwd.getpwnam(user) if user else pwd.getpwuid(os.getuid())

    def popen_options(self) -> dict[str, object]:
        if not self.user:
            return {}
        groups = os.getgrouplist(self.user, self.account.pw_gid)
        return {
            "user": self.account.pw_uid,
            "group": self.account.pw_gid,
            "extra_groups": groups,
        }

    def environment(self) -> dict[str, str]:
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"HOME": self.account.pw_dir, "PATH": path, "LANG": "C.UTF-8"}


class Failed(Exception):
    """A command of a tool did not succeed; the message is its last line of output."""


class Sample:
    """What one measurement took: `wall` seconds, and `cpu` seconds of the processes waited for."""

    def __init__(self, wall: float, cpu: float) -> None:
        self.wall = wall
        self.cpu = cpu


class Scratch:
    """A directory of one comparison, with the processes that serve it. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._runners: dict[str, subprocess.Popen[bytes]] = {}
        self._servers: list[subprocess.Popen[bytes]] = []
        self._unmount: list[Path] = []

    def __enter__(self) -> Scratch:
        self.path.mkdir(parents=True, exist_ok=False)
        self.path.chmod(0o755)
        return self

    def __exit__(self, *fault: object) -> None:
        for server in list(self._servers):
            self.stop(server)
        for runner in self._runners.values():
            runner.communicate()  # which it takes for the end
        with open("/proc/self/mounts") as mounts:
            places = [line.split()[1] for line in mounts]
        for place in reversed(places):
            if place.startswith(f"{self.path}/"):
                subprocess.run(["umount", "-l", place], check=False)
        shutil.rmtree(self.path, ignore_errors=True)

    # Processes

    def run(
        self, argv: list[str], env: dict[str, str], who: Identity, *, copies: int = 1
    ) -> Sample:
        """Run `copies` of a command at once, measured; `Failed` unless all of them succeed."""
        runner = self._runners.get(who.user) or self._start_runner(who)
        order = {"argv": argv, "env": env, "copies": copies, "output": str(self._log(who))}
        assert runner.stdin is not None
        assert runner.stdout is not None
        runner.stdin.write(json.dumps(order).encode() + b"\n")
        runner.stdin.flush()
        done = json.loads(runner.stdout.readline())
        if done["code"]:
            raise Failed(done["last"] or f"exit code {done['code']}")
        return Sample(done["wall"], done["cpu"])

    def _start_runner(self, who: Identity) -> subprocess.Popen[bytes]:
        """See `runner`."""
        self._log(who).touch()
        os.chown(self._log(who), who.account.pw_uid, who.account.pw_gid)
        runner = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("runner.py"))],
            env={**os.environ, **who.environment()} if who.user else None,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            **who.popen_options(),  # type: ignore[call-overload]  # one of two shapes
        )
        self._runners[who.user] = runner
        return runner

    def _log(self, who: Identity) -> Path:
        return self.path / f"log.{who.user}"

    def serve(self, argv: list[str], env: dict[str, str], ready: object) -> subprocess.Popen[bytes]:
        """Start a server and wait until `ready()` is true; `Failed` with its log's last line."""
        log = self.path / f"{Path(argv[0]).name}.log"
        with open(log, "wb") as output:
            server = subprocess.Popen(
                argv, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._servers.append(server)
        for _ in range(300):
            if ready():  # type: ignore[operator]  # any callable
                return server
            if server.poll() is not None:
                break
            time.sleep(0.05)
        self.stop(server)
        lines = log.read_text(errors="replace").strip().splitlines()
        raise Failed(f"{argv[0]} does not serve: {lines[-1][:300] if lines else 'it says nothing'}")

    def stop(self, server: subprocess.Popen[bytes]) -> None:
        self._servers.remove(server)
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()

    # Files

    def fresh(self, name: str, who: Identity | None = None) -> Path:
        """An empty directory, owned by `who`."""
        path = self.path / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        if who is not None and who.user:
            os.chown(path, who.account.pw_uid, who.account.pw_gid)
        return path

    def archive(self, name: str, base: Path, salt: str = "") -> Path:
        """A `docker save` archive of the image `name`:latest with one layer: the tar `base`, and
        one file that makes the layer like no other. A salted one replaces the last salted one."""
        stem = f"{name}-salted" if salt else name
        layer = self.path / f"{stem}.layer"
        shutil.copyfile(base, layer)
        with tarfile.open(layer, "a") as tar:
            mark = tarfile.TarInfo(f"bench-{name}")
            content_of_mark = f"{name}{salt}".encode()
            mark.size = len(content_of_mark)
            tar.addfile(mark, io.BytesIO(content_of_mark))
        with open(layer, "rb") as content:
            diff_id = hashlib.file_digest(content, "sha256").hexdigest()
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "amd64")
        config = json.dumps(
            {
                "architecture": machine,
                "os": "linux",
                "config": {
                    "Env": ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                    "Cmd": ["/bin/sh"],
                },
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
                "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "bench"}],
                "created": "2024-01-01T00:00:00Z",
            }
        ).encode()
        config_name = hashlib.sha256(config).hexdigest() + ".json"
        manifest = json.dumps(
            [
                {
                    "Config": config_name,
                    "RepoTags": [f"{name}:latest"],
                    "Layers": [f"{diff_id}/layer.tar"],
                }
            ]
        ).encode()
        path = self.path / f"{stem}.tar"
        with tarfile.open(path, "w") as tar:
            tar.add(layer, f"{diff_id}/layer.tar")
            for member, data in ((config_name, config), ("manifest.json", manifest)):
                info = tarfile.TarInfo(member)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        layer.unlink()
        return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
