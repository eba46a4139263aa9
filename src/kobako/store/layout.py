"""The store is an OCI image layout (image-spec image-layout.md): made here, told to other tools."""

from __future__ import annotations

import os

from kobako.oci.descriptor import Descriptor
from kobako.oci.manifest import Index, parse_manifest_or_index
from kobako.store import ingest, reserve
from kobako.store.failures import failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.store.store import Store

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
"""The `oci-layout` file (image-spec image-layout.md)."""
EMPTY_INDEX = (
    b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
)
REF_NAME = "org.opencontainers.image.ref.name"


def make(root: str) -> None:
    """Make an empty store, or what is missing of one."""
    try:
        _make_files(root)
    except OSError as error:
        raise failed("make a store", root, error) from error
    reserve.lay_up(root)


def _make_files(root: str) -> None:
    # 0700: trees of images hold set-user-ID programs that no other user of the machine may reach.
    os.makedirs(root, 0o700, exist_ok=True)
    for name in ("blobs", "blobs/sha256", "ingest", "layers", "events"):
        os.makedirs(os.path.join(root, name), exist_ok=True)
    for name, content in (("index.json", EMPTY_INDEX), ("oci-layout", LAYOUT)):
        path = os.path.join(root, name)
        if not os.path.exists(path):
            replace_file(os.path.join(root, "ingest"), path, content)


def replace_file(ingest_dir: str, path: str, content: bytes) -> None:
    """Write a small file as a whole or not at all."""
    file = ingest.create(ingest_dir)
    try:
        os.write(file.fd, content)
        os.fchmod(file.fd, 0o644)
        os.fsync(file.fd)
        os.rename(file.path, path)
        file.close()
    finally:
        file.discard()


def export_index(store: Store) -> Index:
    """Write `index.json` as the refs are now, so that others can read the root as a layout.

    Every name stands there in full as the ref.name annotation. It is not kept up to date by
    itself: that would cost each change a file.
    """
    entries = []
    for ref in store.db.refs.list():
        found = parse_manifest_or_index(store.blobs.read(ref.digest))
        pointer = Descriptor(found.media_type, ref.digest, len(found.raw))
        entries.append(pointer.replace(annotations=((REF_NAME, ref.name),)))
    index = Index.build(entries)
    try:
        replace_file(store.ingest_dir, os.path.join(store.root, "index.json"), index.raw)
    except OSError as error:
        raise failed("write index.json", store.root, error) from error
    return index
