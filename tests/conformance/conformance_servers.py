"""What a case may need beside its context: an HTTP server on loopback for its `../www` files."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from pathlib import Path
from typing import Any


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


class Servers:
    """Serves `place`/www while it is entered, where there is one; `{url}` in flags becomes its
    address and `{place}` the directory that holds the context."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._server: http.server.ThreadingHTTPServer | None = None
        self._url = ""

    def __enter__(self) -> Servers:
        www = self._place / "www"
        if www.is_dir():
            handler = functools.partial(_Quiet, directory=str(www))
            self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
            self._url = f"http://127.0.0.1:{self._server.server_port}"
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def fill(self, flags: list[str]) -> list[str]:
        return [f.replace("{url}", self._url).replace("{place}", str(self._place)) for f in flags]

    def neutral(self, described: dict[str, Any]) -> dict[str, Any]:
        """The description without the address of this run."""
        if not self._url:
            return described
        found: dict[str, Any] = json.loads(json.dumps(described).replace(self._url, "{url}"))
        return found
