"""The store as an OCI image layout for other tools (image-spec image-layout.md)."""

from __future__ import annotations

import os

from kobako.oci.descriptor import Descriptor
from kobako.oci.manifest import Index, parse_manifest_or_index
from kobako.store.content import failed
from kobako.store.store import replace_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.store.store import Store

REF_NAME = "org.opencontainers.image.ref.name"


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
