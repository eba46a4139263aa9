"""Servers of files and repositories, and a builder that fetches from them."""

from __future__ import annotations

import hashlib
import http.server
import os
import subprocess
import threading
from email.utils import formatdate
from pathlib import Path
from typing import Any

from e2e_command import Kobako

MODIFIED = 1_000_000_000


class Site:
    """An HTTP server of files in memory and below a directory, which keeps what was asked, and
    what it was `shown` of who asks. `wants` says what that has to be, by the beginning of paths."""

    def __init__(self, directory: Path) -> None:
        self.files: dict[str, bytes] = {}
        self.etags = True
        self.moved = "/file.txt"
        self.asked: list[tuple[str, int]] = []
        self.wants: dict[str, str] = {}
        self.shown: dict[str, str] = {}
        site = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *words: Any) -> None:
                super().__init__(*words, directory=str(directory))

            def log_request(self, code: Any = 0, size: Any = 0) -> None:
                site.asked.append((self.path, int(code)))

            def log_message(self, *words: Any) -> None:
                pass

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if any(
                    path.startswith(begin) and self.headers.get("Authorization") != wanted
                    for begin, wanted in site.wants.items()
                ):
                    self.send_error(401)
                    return
                site.shown[path] = self.headers.get("Authorization", "")
                if path == "/moved":
                    self.send_response(302)
                    self.send_header("Location", site.moved)
                    self.end_headers()
                    return
                if path not in site.files:
                    super().do_GET()
                    return
                data = site.files[path]
                tag = f'"{hashlib.sha256(data).hexdigest()}"'
                if site.etags and self.headers.get("If-None-Match") == tag:
                    self.send_response(304)
                    self.end_headers()
                    return
                self.send_response(200)
                if site.etags:
                    self.send_header("ETag", tag)
                self.send_header("Last-Modified", formatdate(MODIFIED, usegmt=True))
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Builder:
    def __init__(self, kobako: Kobako, context: Path) -> None:
        self.kobako, self.context = kobako, context
        context.mkdir()

    def __call__(self, dockerfile: str, *flags: str) -> str:
        (self.context / "Dockerfile").write_text(dockerfile)
        self.kobako("build", "--progress", "plain", "-t", "remote", *flags, str(self.context))
        return self.kobako("run", "--rm", "--network", "none", "remote").out

    def fails(self, dockerfile: str, says: str, *flags: str) -> None:
        (self.context / "Dockerfile").write_text(dockerfile)
        self.kobako.fails("build", *flags, str(self.context), says=says)


class Repository:
    """A bare repository served as files by an HTTP server, and a tree to commit from."""

    def __init__(self, directory: Path, url: str) -> None:
        self.work, self.bare = directory / "work", directory / "www" / "repo.git"
        self.url = f"{url}/repo.git"
        self.git("init", "-q", "-b", "main", str(self.work))
        self.git("init", "-q", "--bare", "-b", "main", str(self.bare))

    def git(self, *words: str) -> str:
        names = ("GIT_AUTHOR", "GIT_COMMITTER")
        who = {f"{n}_{k}": v for n in names for k, v in (("NAME", "n"), ("EMAIL", "e@x"))}
        done = subprocess.run(
            ["git", *(("-C", str(self.work)) if words[0] != "init" else ()), *words],
            env={**os.environ, **who, "GIT_COMMITTER_DATE": f"{MODIFIED} +0000",
                 "GIT_CONFIG_GLOBAL": "/dev/null"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    def commit(self, **files: str) -> str:
        for name, text in files.items():
            path = self.work / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "a commit")
        return self.git("rev-parse", "HEAD")

    def publish(self) -> None:
        self.git("push", "-q", "--all", str(self.bare))
        self.git("push", "-q", "--tags", str(self.bare))
        subprocess.run(["git", "-C", str(self.bare), "update-server-info"], check=True)
