from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kobako.store import ContainerRow, Finding, Store, export_index, fsck, gc

Make = Callable[..., Any]


def errors(findings: list[Finding]) -> list[Finding]:
    return [f for f in findings if f.severity == "error"]


def test_a_new_store_is_whole(store: Store, image: Make) -> None:
    assert fsck(store) == []
    image(b"one", "a", trees=True)
    assert fsck(store) == []


def test_a_damaged_layer(store: Store, image: Make) -> None:
    row, manifest = image(b"one", "a")
    layer = manifest.layers[0].digest
    Path(store.blobs.path(layer)).write_bytes(b"damaged")
    assert [f.subject for f in errors(fsck(store))] == [layer]
    assert errors(fsck(store, content=False)) == []
    repaired = errors(fsck(store, repair=True))
    assert {f.subject for f in repaired} == {layer, row.id}
    assert all(f.repaired for f in repaired)
    assert errors(fsck(store)) == []
    assert store.db.refs.list() == []
    gc(store, grace_seconds=-2)
    assert fsck(store) == []


def test_missing_blobs(store: Store, image: Make) -> None:
    row, manifest = image(b"one", "a")
    store.blobs.delete(manifest.layers[1].digest)
    found = errors(fsck(store))
    assert {f.subject for f in found} == {row.id, "a"}
    assert manifest.layers[1].digest in found[0].message
    fsck(store, repair=True)
    assert errors(fsck(store)) == []


def test_a_damaged_manifest_with_a_container(store: Store, image: Make) -> None:
    row, _ = image(b"one", "a", trees=True)
    store.db.containers.add(ContainerRow("ab" * 32, "web", row.id, "a", 1, b"{}"))
    Path(store.blobs.path(row.manifest)).write_bytes(b'{"x": 1}')
    assert len(errors(fsck(store))) == 3
    fsck(store, repair=True)
    left = fsck(store)
    assert errors(left) == []
    assert [f.subject for f in left if f.severity == "warning"] == ["ab" * 32]


def test_trees_and_directories(store: Store, image: Make) -> None:
    row, _ = image(b"one", "a", trees=True)
    tree = Path(store.layers_dir("native"), row.diff_ids[0].encoded, "tree")
    shutil.rmtree(tree)
    Path(store.containers_dir, "stray").mkdir(parents=True)
    Path(store.root, "blobs", "sha256", "stray").touch()
    os.unlink(Path(store.root, "oci-layout"))
    found = fsck(store, repair=True)
    assert sorted((f.severity, f.repaired) for f in found) == [
        ("error", True),
        ("error", True),
        ("note", True),
        ("warning", False),
    ]
    assert not tree.parent.exists()
    assert errors(fsck(store)) == []


def test_a_damaged_database(store: Store, image: Make) -> None:
    for number in range(50):
        image(b"%d" % number, f"name{number}")
    store.db.query("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    path = Path(store.db.path)
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 6] = bytes(4096 * 3)
    path.write_bytes(data)
    with Store.open(store.root) as again:
        found = fsck(again)
    assert found
    assert {(f.severity, f.subject) for f in found} == {("error", str(path))}


@pytest.mark.needs("skopeo", "umoci")
def test_others_read_the_layout(store: Store, image: Make, tmp_path: Path) -> None:
    _, manifest = image(b"one", "docker.io/library/python:latest")
    image(b"two", "localhost:5000/me/tool:1.0")
    index = export_index(store)
    assert len(index.manifests) == 2
    assert Path(store.root, "index.json").read_bytes() == index.raw
    source = f"oci:{store.root}:docker.io/library/python:latest"
    shown = subprocess.run(
        ["skopeo", "inspect", "--format", "{{.Digest}}", source],
        capture_output=True, text=True, check=True,
        env={**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
    )  # fmt: skip
    assert shown.stdout.strip() == manifest.digest
    listed = subprocess.run(
        ["umoci", "ls", "--layout", store.root], capture_output=True, text=True, check=True
    )
    assert "localhost:5000/me/tool:1.0" in listed.stdout
