"""Unpacking: making an image's layers ready to be stacked."""

from __future__ import annotations

import os

from kobako.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from kobako.engine.engine import Engine
    from kobako.events import OnEvent
    from kobako.oci import Descriptor, Digest, ImageConfig, Manifest


def unpack(engine: Engine, manifest: Manifest, config: ImageConfig, on_event: OnEvent) -> None:
    """Unpack every layer of an image that is not there yet, several at once. Where this user cannot
    be root in any way its layers stay packed: it can be named, saved and pushed."""
    from kobako.events import LayerProgress

    if len(manifest.layers) != len(config.diff_ids):
        raise Corrupt(
            f"image {config.digest.short}: {len(manifest.layers)} layers in the manifest, "
            f"{len(config.diff_ids)} in the config"
        )
    if not engine.try_enter():
        for layer in manifest.layers:
            on_event(LayerProgress(layer.digest.short, "Pull complete"))
        return
    wanted = [
        (diff_id, layer)
        for diff_id, layer in dict(zip(config.diff_ids, manifest.layers, strict=True)).items()
        if not engine.trees.has(diff_id)
    ]

    def one(diff_id: Digest, layer: Descriptor) -> None:
        on_event(LayerProgress(layer.digest.short, "Extracting", 0, layer.size))
        unpack_one(engine, diff_id, layer)
        on_event(LayerProgress(layer.digest.short, "Pull complete"))

    if len(wanted) < 2:
        for diff_id, layer in wanted:
            one(diff_id, layer)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for future in [pool.submit(one, diff_id, layer) for diff_id, layer in wanted]:
            future.result()


def unpack_one(engine: Engine, diff_id: Digest, layer: Descriptor) -> None:
    """Unpack one layer from its blob, verified by its DiffID."""
    import io

    blobs = engine.store.blobs
    engine.trees.unpack(
        diff_id,
        lambda: io.BufferedReader(blobs.open(layer.digest), 1 << 20),
        verified=layer.digest == diff_id,
    )


def while_it_arrives(engine: Engine) -> Callable[[Digest | None, BinaryIO], None] | None:
    """What unpacks a layer from a stream that also becomes its blob, where layers are unpacked."""
    if not engine.try_enter():
        return None
    trees = engine.trees

    def one(diff_id: Digest | None, stream: BinaryIO) -> None:
        if diff_id is not None:
            trees.unpack(diff_id, lambda: stream, verified=True)

    return one


def size(engine: Engine, manifest: Manifest, config: ImageConfig) -> int:
    """The sum of an image's layers in bytes."""
    return sum(layer_sizes(engine, manifest, config))


def layer_sizes(engine: Engine, manifest: Manifest, config: ImageConfig) -> list[int]:
    """The size of each layer in bytes: unpacked where that is known, else as stored."""
    if not engine.try_enter():
        return [layer.size for layer in manifest.layers]
    trees = engine.trees
    return [
        trees.usage(diff_id) if trees.has(diff_id) else layer.size
        for diff_id, layer in zip(config.diff_ids, manifest.layers, strict=True)
    ]
