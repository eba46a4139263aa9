"""What the vertices of a build give each other: a file system, and how it came to be."""

from __future__ import annotations

from kobako.build.cache import cache_key
from kobako.build.worker import LayerRef
from kobako.oci import Descriptor, Digest
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.build.worker import Worker


class Result(Record):
    """A stage after one of its instructions.

    `layers` are bottom first. `added`: the instruction made the topmost one. `created_ns` is the
    time it bears, the stage's epoch (0 for what an image brought along). `lineage` stands for
    everything that led here, metadata included; `chain` for the files alone.
    """

    layers: tuple[LayerRef, ...]
    lineage: str
    added: bool = False
    created_ns: int = 0

    @property
    def chain(self) -> tuple[str, ...]:
        return tuple(layer.diff_id for layer in self.layers)

    def then(self, key: str, layer: LayerRef | None, epoch: int) -> Result:
        """The result of an instruction on top of this one."""
        created_ns = epoch * 1_000_000_000
        layers = self.layers if layer is None else (*self.layers, layer)
        lineage = cache_key(self.lineage, key, layer.diff_id if layer else "", created_ns)
        return Result(layers, lineage, layer is not None, created_ns)


def record(result: Result) -> dict[str, Any]:
    """What the cache keeps of a result: its own layer and its time."""
    layer = result.layers[-1] if result.added else None
    kept: dict[str, Any] = {"epoch": result.created_ns // 1_000_000_000}
    if layer is not None:
        kept["diff_id"] = layer.diff_id
        kept["blob"] = layer.descriptor.to_json()
    return kept


def restore(value: dict[str, Any], key: str, below: Result, worker: Worker) -> Result | None:
    """The result on top of `below` a cached document stands for, if its layer is still there."""
    layer = None
    if "diff_id" in value:
        blob = value["blob"]
        descriptor = Descriptor(blob["mediaType"], Digest.parse(blob["digest"]), int(blob["size"]))
        layer = LayerRef(Digest.parse(value["diff_id"]), descriptor)
        if not worker.has_layer(layer):
            return None
    return below.then(key, layer, int(value["epoch"]))
