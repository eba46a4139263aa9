"""The layers of a cache in another compression: the same DiffIDs, other blobs."""

from __future__ import annotations

from kobako.build import cache_records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.build.cache_records import CacheRecord
    from kobako.engine.engine import Engine


def recompressed(
    engine: Engine, records: Sequence[CacheRecord], compression: str, level: int | None
) -> list[CacheRecord]:
    """The records with the layers that are here in `compression`, new blobs put into the store."""
    from kobako.engine.build.deliver import Memory
    from kobako.image.mutate import append_layer, scratch
    from kobako.image.recompress import recompressed as convert
    from kobako.oci import History, Platform

    layers = [layer for layer in cache_records.layers_of(records) if layer.here]
    image = scratch(Platform.host())
    for layer in layers:
        image = append_layer(image, layer.blob, layer.diff_id, History())
    memory = Memory(engine, f"compressed:{compression}:{level}:")
    image = convert(engine.store.blobs, image, compression, level, memory)
    made = dict(image.layers)
    return [
        record.replace(layer=record.layer.replace(blob=made[record.layer.diff_id]))
        if record.layer is not None and record.layer.diff_id in made
        else record
        for record in records
    ]
