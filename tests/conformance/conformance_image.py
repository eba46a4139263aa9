"""An image in an OCI layout → what the expectations hold: the tree its layers make, and its config.

Written on the standard library's tarfile alone: nothing of kobako reads what kobako wrote.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

import conformance_base as base

ReadBlob = Callable[[str], bytes]  # by digest
Tree = dict[str, str]
_SHORT = 64
_XATTR = "SCHILY.xattr."


def describe(manifest: dict[str, Any], read: ReadBlob) -> dict[str, Any]:
    """The comparable form of an image: `tree` (what differs from its base), `config`, `history`.

    Left out, because it may differ: times, digests of config and layers.
    """
    document = json.loads(read(manifest["config"]["digest"]))
    digests = [layer["digest"] for layer in manifest["layers"] or ()]
    history = document.get("history") or []
    below = sum(entry["created_by"].startswith("base ") for entry in history)
    tree = merged(digests, read)
    if below:
        tree = difference(tree, merged(digests[:1], read))
    return {
        "tree": tree,
        "config": {
            k: v for k, v in (document.get("config") or {}).items() if v not in (None, [], {})
        },
        "platform": "/".join(
            filter(None, (document["os"], document["architecture"], document.get("variant")))
        ),
        **({"author": document["author"]} if document.get("author") else {}),
        "history": [_step(entry) for entry in history[below:]],
    }


def _step(entry: dict[str, Any]) -> str:
    """One line of history; "(no layer) " before it when it added none."""
    text = entry.get("created_by", "")
    return f"(no layer) {text}" if entry.get("empty_layer") else str(text)


def difference(tree: Tree, lower: Tree) -> Tree:
    """What `tree` has otherwise than `lower`; what is gone is "deleted"."""
    changed = {path: what for path, what in tree.items() if lower.get(path) != what}
    gone = {path: "deleted" for path in lower if path not in tree}
    return dict(sorted({**changed, **gone}.items()))


def merged(digests: list[str], read: ReadBlob) -> Tree:
    """The tree that these layers make, lowest first: path → what is there."""
    tree: Tree = {}
    for digest in digests:
        _apply(tree, _entries(digest, read))
    return dict(sorted(tree.items()))


@functools.lru_cache(maxsize=16)
def _entries(digest: str, read: ReadBlob) -> tuple[tuple[str, str], ...]:
    """A layer's (path, what is there). The layers of base images come again with every case."""
    data = read(digest)
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as layer:
        named = (("/" + e.name.strip("/").removeprefix("./"), e) for e in layer)
        return tuple((path, _entry(layer, e)) for path, e in named)


def _apply(tree: Tree, entries: tuple[tuple[str, str], ...]) -> None:
    """One layer: its whiteouts are of what lies below, wherever in the archive they stand."""
    for path, _ in entries:
        parent, _, name = path.rpartition("/")
        if name == ".wh..wh..opq":
            _remove_below(tree, parent)
        elif name.startswith(".wh."):
            gone = f"{parent}/{name[4:]}"
            tree.pop(gone, None)
            _remove_below(tree, gone)
    for path, what in entries:
        if path.rpartition("/")[2].startswith(".wh.") or path in ("/", "/."):
            continue
        if not what.startswith("dir "):
            _remove_below(tree, path)
        tree[path] = what


def _remove_below(tree: Tree, directory: str) -> None:
    for path in [p for p in tree if p.startswith(directory + "/")]:
        del tree[path]


def _entry(layer: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    """Type, mode, uid:gid and what else there is to say: size and content, a link's target,
    a device's numbers; then the extended attributes."""
    owner = f"{entry.mode:04o} {entry.uid}:{entry.gid}"
    if entry.isdir():
        text = f"dir {owner}"
    elif entry.issym():
        text = f"link {entry.uid}:{entry.gid} -> {entry.linkname}"
    elif entry.islnk():
        return f"hard link to /{entry.linkname.strip('/').removeprefix('./')}"
    elif entry.isfile():
        file = layer.extractfile(entry)
        assert file is not None
        data = file.read()
        if hashlib.sha256(data).digest() == busybox():
            text = f"file {owner} busybox"
        else:
            text = f"file {owner} {entry.size} {_content(data)}"
    elif entry.isfifo():
        text = f"fifo {owner}"
    else:
        kind = "char" if entry.ischr() else "block"
        text = f"{kind} {owner} {entry.devmajor},{entry.devminor}"
    for key, value in sorted(entry.pax_headers.items()):
        if key.startswith(_XATTR):
            text += f" {key.removeprefix(_XATTR)}={value!r}"
    return text


@functools.cache
def busybox() -> bytes:
    """The digest of this machine's busybox: it may be of any version."""
    return hashlib.sha256(base.busybox().read_bytes()).digest()


def _content(data: bytes) -> str:
    """Short texts as they are, others as a digest."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    if len(data) <= _SHORT and (text or not data):
        return json.dumps(text, ensure_ascii=False)
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
