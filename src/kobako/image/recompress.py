"""An image whose layers are compressed in another way: same config, same id, other blobs."""

from __future__ import annotations

import io

from kobako import events
from kobako.image import mutate
from kobako.layer.codec import GZIP, PLAIN, ZSTD, open_reader, open_writer
from kobako.oci import mediatypes
from kobako.oci.descriptor import Descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from kobako.events import OnEvent
    from kobako.image.mutate import Image
    from kobako.oci.digest import Digest
    from kobako.store import ContentStore

    class Memory(Protocol):
        """What earlier conversions gave, by DiffID."""

        def get(self, diff_id: Digest) -> Descriptor | None: ...
        def put(self, diff_id: Digest, layer: Descriptor) -> None: ...


CODECS = {"uncompressed": PLAIN, "gzip": GZIP, "zstd": ZSTD}
_CHUNK = 1 << 20


def recompressed(
    blobs: ContentStore,
    image: Image,
    compression: str,
    level: int | None,
    memory: Memory,
    *,
    inherited: int = 0,
    on_event: OnEvent = events.ignore,
) -> Image:
    """`image` with its layers in `compression` (a key of `CODECS`), new blobs put into the store.

    The lowest `inherited` layers stay as they are, as do those that have that compression already
    unless a `level` is asked for. `memory` spares what an earlier call did.
    """
    codec = CODECS[compression]
    wanted = "" if codec == PLAIN else codec
    layers = []
    for at, (diff_id, layer) in enumerate(image.layers):
        same = mediatypes.compression(layer.media_type) == wanted
        if at < inherited or (same and level is None):
            layers.append(layer)
            continue
        there = memory.get(diff_id)
        if there is None or not blobs.exists(there.digest):
            on_event(events.LayerProgress(diff_id.short, "Preparing", 0, layer.size))
            there = _convert(blobs, layer, codec, level)
            memory.put(diff_id, there)
        layers.append(there)
    return mutate.with_layers(image, layers)


def _convert(blobs: ContentStore, layer: Descriptor, codec: str, level: int | None) -> Descriptor:
    with io.BufferedReader(blobs.open(layer.digest), _CHUNK) as stored, blobs.writer() as writer:
        content, _ = open_reader(stored)
        packing = open_writer(writer, codec, level)
        while chunk := content.read(_CHUNK):
            packing.write(chunk)
        packing.close()
        digest = writer.commit()
    return Descriptor(mediatypes.oci_layer(codec), digest, blobs.size(digest))
