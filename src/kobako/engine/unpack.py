"""Unpacked layers: making an image's layers ready to be stacked."""

from __future__ import annotations

import errno
import os

from kobako.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from kobako.engine.engine import Engine
    from kobako.engine.images import LocalImage
    from kobako.events import OnEvent
    from kobako.oci import Descriptor, Digest, ImageConfig, Manifest

_SKELETON_DIRS = ("dev", "dev/pts", "dev/shm", "proc", "sys", "etc")
_SKELETON_FILES = ("dev/console", "etc/hosts", "etc/hostname", "etc/resolv.conf")


def lowers(engine: Engine, image: LocalImage) -> list[str]:
    """The trees a container of this image is stacked on, topmost first; missing ones unpacked."""
    trees = engine.trees
    missing = [d for d in image.row.diff_ids if not trees.has(d)]
    if missing:
        from kobako.events import ignore
        from kobako.image.mutate import Image

        whole = Image.read(engine.store.blobs, image.row.manifest)
        unpack(engine, whole.manifest, whole.config, ignore)
    return stack(engine, image.row.diff_ids)


def stack(engine: Engine, diff_ids: tuple[Digest, ...]) -> list[str]:
    """Tree paths of unpacked layers, topmost first, with the skeleton beneath them all.

    Of a layer that is there twice the upper one says all that the lower one does, and overlay
    takes no tree twice (ELOOP).
    """
    found = [engine.trees.path(d) for d in dict.fromkeys(reversed(diff_ids))]
    found.append(skeleton(engine))
    return found


def skeleton(engine: Engine) -> str:
    """The lowest tree of every container: the places things are mounted on.

    Because they exist below the image, nothing has to be made in the writable layer and `diff`
    shows only what the container did (docker keeps an "init" layer for the same reason).
    """
    base = os.path.join(engine.settings.root, "skeleton")
    path = os.path.join(base, engine.mode.format, "tree")
    if not os.path.isdir(path):
        os.makedirs(base, exist_ok=True)
        _make_skeleton(engine, os.path.join(base, engine.mode.format))
    return path


def _make_skeleton(engine: Engine, directory: str) -> None:
    """In a scratch directory, which becomes `directory` unless another process was faster."""
    from kobako.engine import names, scratch
    from kobako.linux import claim, fs

    part = os.path.join(scratch.place(engine.settings.root), names.random_id())
    held = claim.make(part)
    try:
        tree = os.path.join(part, "tree")
        for name in _SKELETON_DIRS:
            os.makedirs(os.path.join(tree, name), exist_ok=True)
        for name in _SKELETON_FILES:
            with open(os.path.join(tree, name), "w") as file:
                os.fchmod(file.fileno(), 0o644)  # whatever the umask is
        for name in (".", *_SKELETON_DIRS):
            os.chmod(os.path.join(tree, name), 0o755)
        os.rename(part, directory)
    except OSError as fault:
        if fault.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
    finally:
        fs.remove_tree(part)
        os.close(held)


def unpack(engine: Engine, manifest: Manifest, config: ImageConfig, on_event: OnEvent) -> None:
    """Unpack every layer of an image that is not there yet, several at once."""
    from kobako.events import LayerProgress

    if len(manifest.layers) != len(config.diff_ids):
        raise Corrupt(
            f"image {config.digest.short}: {len(manifest.layers)} layers in the manifest, "
            f"{len(config.diff_ids)} in the config"
        )
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


def while_it_arrives(engine: Engine) -> Callable[[Digest | None, BinaryIO], None]:
    """What unpacks a layer from a stream that also becomes its blob."""
    trees = engine.trees

    def one(diff_id: Digest | None, stream: BinaryIO) -> None:
        if diff_id is not None:
            trees.unpack(diff_id, lambda: stream, verified=True)

    return one


def size(engine: Engine, config: ImageConfig) -> int:
    """The sum of an image's unpacked layers in bytes."""
    return sum(engine.trees.usage(d) for d in config.diff_ids)


def layer_sizes(engine: Engine, manifest: Manifest, config: ImageConfig) -> list[int]:
    """The size of each layer in bytes: unpacked where that is known, else as stored."""
    trees = engine.trees
    return [
        trees.usage(diff_id) if trees.has(diff_id) else layer.size
        for diff_id, layer in zip(config.diff_ids, manifest.layers, strict=True)
    ]
