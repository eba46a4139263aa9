"""kobako building cases: the command line, one store, and the results in the expectations' form."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import conformance_base as base
import conformance_cases as cases
import conformance_image as image
from conformance_servers import Servers

from kobako.store import Store


class Builder:
    """Builds cases below the directory `place`."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._root = place / "store"

    def __enter__(self) -> Builder:
        environ = {
            "HOME": str(self._place),
            "KOBAKO_ROOT": str(self._root),
            "PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
        }
        self._forker = subprocess.Popen(
            [sys.executable, str(cases.HERE / "conformance_forker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
            text=True,
        )
        layout = self._place / "layout"
        base.make(layout)
        with tarfile.open(self._place / "layout.tar", "w") as tar:
            tar.add(layout, "")
        code, text = self.run("load", "-i", str(self._place / "layout.tar"))
        assert code == 0, text
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._forker.stdin is not None and self._forker.stdout is not None
        self._forker.stdin.close()
        self._forker.wait()
        self._forker.stdout.close()

    def run(self, *words: str, directory: str = "/") -> tuple[int, str]:
        """(exit code, what it said) of one `kobako` command."""
        assert self._forker.stdin is not None and self._forker.stdout is not None
        said = self._place / "said"
        order = {"words": words, "directory": directory, "out": str(said), "err": str(said)}
        self._forker.stdin.write(json.dumps(order) + "\n")
        self._forker.stdin.flush()
        code = int(self._forker.stdout.readline())
        text = said.read_text(errors="replace")
        assert "Traceback (most recent call last)" not in text, text
        assert "internal error" not in text, text
        return code, text

    def build(self, case: cases.Case) -> dict[str, Any]:
        place = self._place / case.topic / case.name
        context = cases.write(case, place)
        with Servers(place) as servers:
            flags = servers.fill(case.flags)
            words = ["build", "--progress=plain", "--iidfile", str(place / "iid"), *flags]
            code, text = self.run(*words, str(context), directory=str(place))
            if code:
                return {"error": _error(text)}
            return servers.neutral(self._describe((place / "iid").read_text()))

    def _describe(self, image_id: str) -> dict[str, Any]:
        store = Store.open(str(self._root))
        try:
            row = store.db.images.get(image_id)
            assert row is not None
            manifest = json.loads(store.blobs.read(row.manifest))
            return image.describe(manifest, self._blob)
        finally:
            store.close()

    def _blob(self, digest: str) -> bytes:
        return (self._root / "blobs" / digest.replace(":", "/")).read_bytes()


def _error(text: str) -> dict[str, Any]:
    error: dict[str, Any] = {}
    lines = re.findall(r"^[^\s:]+:(\d+)\n-{20}$", text, re.MULTILINE)
    if lines:
        error["line"] = int(lines[-1])
    code = re.search(r"returned a non-zero code: (\d+)|exit code: (\d+)", text)
    if code:
        error["exit"] = int(code[1] or code[2])
    return error | {"message": text.strip()[-600:]}
