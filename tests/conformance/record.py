#!/usr/bin/env python3
"""Record what BuildKit makes of the cases. A developer's tool: the tests read what it wrote.

    tests/conformance/record.py --buildkit unix:///run/buildkit/buildkitd.sock
        --registry 127.0.0.1:5000 [--buildx docker-buildx] [TOPIC[/CASE] ...]

The base images are pushed to the registry, which that buildkitd must have as a mirror of docker.io:

    [registry."docker.io"]
      mirrors = ["127.0.0.1:5000"]
    [registry."127.0.0.1:5000"]
      http = true

Without topics every case is recorded, and expectations of cases that are gone are dropped.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import conformance_base as base
import conformance_cases as cases
import conformance_image as image
from conformance_servers import Servers

_BUILDER = "kobako-conformance"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--buildkit", required=True, help="address of buildkitd")
    parser.add_argument("--registry", required=True, help="registry its docker.io is mirrored by")
    parser.add_argument("--buildx", default="docker-buildx", help="the buildx program")
    parser.add_argument("only", nargs="*", metavar="TOPIC[/CASE]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        recorder = Recorder(options.buildx, options.buildkit, Path(scratch))
        push_bases(options.registry, Path(scratch) / "layout")
        for topic in cases.topics():
            chosen = [c for c in cases.read(topic) if wanted(c, options.only)]
            if chosen:
                record(recorder, topic, chosen)


def wanted(case: cases.Case, only: list[str]) -> bool:
    return not only or case.topic in only or case.id in only


def record(recorder: Recorder, topic: str, chosen: list[cases.Case]) -> None:
    path = cases.EXPECTED / f"{topic}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    with ThreadPoolExecutor(4) as pool:
        found = dict(zip([c.name for c in chosen], pool.map(recorder.build, chosen), strict=True))
    kept = {c.name: known.get(c.name) for c in cases.read(topic)} | found
    kept = {name: value for name, value in kept.items() if value is not None}
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    failed = sum("error" in value for value in found.values())
    print(f"{topic}: {len(found)} recorded, {failed} of them errors")


def push_bases(registry: str, layout: Path) -> None:
    base.make(layout)
    copy = ("skopeo", "copy", "--quiet", "--all", "--dest-tls-verify=false")
    for name in (*base.IMAGES, base.MULTI):
        subprocess.run(
            [*copy, f"oci:{layout}:{name}", f"docker://{registry}/library/{name}:latest"],
            check=True,
        )


class Recorder:
    def __init__(self, buildx: str, address: str, scratch: Path) -> None:
        self._buildx = buildx
        self._scratch = scratch
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(scratch),
            "BUILDX_CONFIG": str(scratch / "buildx"),
            "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        }
        self._run("create", "--name", _BUILDER, "--driver", "remote", address, "--use")

    def build(self, case: cases.Case) -> dict[str, Any]:
        place = self._scratch / case.topic / case.name
        # BuildKit does not read a file again whose name, size and time it has seen in any context.
        context = cases.write(case, place, time.time_ns())
        result = place / "image.tar"
        with Servers(place) as servers:
            flags = servers.fill(case.flags)
            words = ["build", "--builder", _BUILDER, "--progress=plain", *flags]
            words += ["--output", f"type=oci,dest={result}", str(context)]
            done = self._run(*words, check=False, cwd=place)
            if done.returncode:
                return {"error": _error(done.stderr)}
            return servers.neutral(_describe(result))

    def _run(self, *words: str, check: bool = True, **options: Any) -> Any:
        return subprocess.run(
            [self._buildx, *words],
            env=self._environ,
            check=check,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            **options,
        )


def _describe(archive: Path) -> dict[str, Any]:
    with tarfile.open(archive) as tar:

        def read(digest: str) -> bytes:
            file = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert file is not None
            return file.read()

        index = json.loads(tar.extractfile("index.json").read())  # type: ignore[union-attr]
        return image.describe(json.loads(read(index["manifests"][0]["digest"])), read)


def _error(text: str) -> dict[str, Any]:
    """Where it failed and how: `exit` is a command's code, `message` only for the reader."""
    error: dict[str, Any] = {}
    lines = re.findall(r"^[^\s:]+:(\d+)\n-{20}$", text, re.MULTILINE)
    if lines:
        error["line"] = int(lines[-1])
    told = re.findall(r"^ERROR: (.*)$", text, re.MULTILINE)
    message = told[-1] if told else text.strip().rpartition("\n")[2]
    code = re.search(r"did not complete successfully: exit code: (\d+)", message)
    if code:
        error["exit"] = int(code[1])
    own = r"\b[a-z0-9]{25}::[a-z0-9]{25}\b|sha256:[0-9a-f]{64}|/\S*/cachemounts/buildkit\d+"
    message = re.sub(own, "...", message)
    return error | {"message": message.removeprefix("failed to build: failed to solve: ")}


if __name__ == "__main__":
    main()
