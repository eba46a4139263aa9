"""Progress as buildx prints it: the same vertices with the same lines, whatever becomes of the
build."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from conformance_builder import Builder
from conformance_progress import blocks, shape

CASES: dict[str, Any] = json.loads((Path(__file__).parent / "progress.json").read_text())


def context(tmp_path: Path, case: dict[str, Any]) -> Path:
    place = tmp_path / "context"
    place.mkdir()
    (place / "Dockerfile").write_text(case["dockerfile"])
    for name, text in case["files"].items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


@pytest.mark.parametrize("name", CASES)
def test_plain_lines_are_those_of_buildx(builder: Builder, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    place = context(tmp_path, case)
    words = ("build", "--progress=plain", "--no-cache", *case["flags"], ".")
    _, said = builder.run(*words, directory=str(place))
    assert shape(said) == {"vertices": case["vertices"], "tail": case["tail"]}, said


@pytest.mark.parametrize("name", ["stages", "warnings", "run-fails", "image"])
def test_documents_tell_of_the_same_vertices(builder: Builder, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    place = context(tmp_path, case)
    words = ("build", "--progress=rawjson", "--no-cache", *case["flags"], ".")
    _, said = builder.run(*words, directory=str(place))
    documents = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    names: dict[str, str] = {}
    lines: dict[str, dict[str, None]] = {}
    ended: dict[str, str] = {}
    for document in documents:
        for vertex in document.get("vertexes", ()):
            names[vertex["digest"]] = vertex["name"]
            lines.setdefault(vertex["digest"], {})
            if "completed" in vertex:
                ended[vertex["digest"]] = "ERROR" if vertex.get("error") else "DONE 0.0s"
        for status in document.get("statuses", ()):
            done = " done" if "completed" in status else ""
            lines[status["vertex"]][status["id"] + done] = None
        for warning in document.get("warnings", ()):
            text = _decoded(warning["short"])
            lines[warning["vertex"]][f"WARN: {text}"] = None
        for log in document.get("logs", ()):
            for line in _decoded(log["data"]).splitlines():
                lines[log["vertex"]][f"0.1 {line}"] = None
    text = "\n".join(
        f"#{number} {line}"
        for number, (digest, title) in enumerate(names.items(), 1)
        for line in (title, *lines[digest], ended[digest])
    )
    assert blocks(text) == case["vertices"]


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
