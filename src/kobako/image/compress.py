"""The compressed form of an image, for a push.

`load` and `import` keep layers as the plain tars they were; registries are sent compressed ones.
The config, and so the image's id, stays the same.
"""

from __future__ import annotations

from kobako import events
from kobako.image import mutate
from kobako.oci import mediatypes
from kobako.oci.descriptor import Descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.events import OnEvent
    from kobako.image.mutate import Image
    from kobako.oci.digest import Digest
    from kobako.store import ContentStore


def is_compressed(image: Image) -> bool:
    """Whether no layer of the image is a plain tar."""
    return all(mediatypes.compression(d.media_type) != "" for d in image.manifest.layers)


def compressed(
    blobs: ContentStore,
    image: Image,
    codec: str = "gzip",
    *,
    known: Callable[[Digest], Descriptor | None] = lambda diff_id: None,
    on_event: OnEvent = events.ignore,
) -> Image:
    """`image` with every plain layer compressed by "gzip" or "zstd", written to the store.

    Compression is deterministic: the same layer gives the same blob. `known` may answer a DiffID
    with the blob an earlier compression or pull gave; it is used if it is in the store.
    """
    layers = []
    for diff_id, layer in image.layers:
        if mediatypes.compression(layer.media_type) != "":
            layers.append(layer)
            continue
        there = known(diff_id)
        if there is None or not blobs.exists(there.digest):
            on_event(events.LayerProgress(diff_id.short, "Preparing", 0, layer.size))
            there = _compress(blobs, layer, codec)
        layers.append(there)
    result = mutate.with_layers(image, layers)
    result.write(blobs)
    return result


def _compress(blobs: ContentStore, layer: Descriptor, codec: str) -> Descriptor:
    from kobako.layer.codec import open_writer
    from kobako.layer.pump import ReadAhead

    with (
        blobs.open(layer.digest) as content,  # which is verified, beside the packing
        ReadAhead(content, layer.digest) as ahead,
        blobs.writer() as writer,
    ):
        packing = open_writer(writer, codec)
        while block := ahead.next_block():
            packing.write(block)
        packing.close()
        digest = writer.commit()
    return Descriptor(mediatypes.oci_layer(codec), digest, blobs.size(digest))
