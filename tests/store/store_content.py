"""Images and trees to put into stores."""

from __future__ import annotations

from pathlib import Path

from kobako.oci import Descriptor, Digest, ImageConfig, Manifest, mediatypes
from kobako.store import ImageRow, Store


def write_image(store: Store, seed: bytes, layers: int = 2) -> tuple[ImageRow, Manifest]:
    """The blobs of a small image; its row and manifest, neither of them recorded yet."""
    blobs = [store.blobs.put(b"layer %d of " % i + seed) for i in range(layers)]
    diff_ids = [Digest.of(b"tar " + blob.encode()) for blob in blobs]
    rootfs = {"type": "layers", "diff_ids": [str(d) for d in diff_ids]}
    config = ImageConfig.build(
        {"os": "linux", "architecture": "amd64", "author": seed.decode(), "rootfs": rootfs}
    )
    store.blobs.put(config.raw)
    manifest = Manifest.build(
        Descriptor(mediatypes.OCI_CONFIG, config.digest, len(config.raw)),
        [Descriptor(mediatypes.OCI_LAYER, blob, store.blobs.size(blob)) for blob in blobs],
    )
    store.blobs.put(manifest.raw)
    row = ImageRow(config.digest, manifest.digest, 1, 10, "", "linux/amd64", tuple(diff_ids))
    return row, manifest


def write_tree(store: Store, diff_id: Digest, ownership: str = "native") -> Path:
    """A finished unpacked layer."""
    tree = Path(store.layers_dir(ownership), diff_id.encoded, "tree")
    (tree / "etc").mkdir(parents=True)
    (tree / "etc" / "passwd").write_text("root")
    return tree
