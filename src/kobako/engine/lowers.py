"""The trees a container is stacked on: overlay's lower directories, topmost first."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine
    from kobako.engine.images import LocalImage
    from kobako.oci import Digest


def of_image(engine: Engine, image: LocalImage) -> list[str]:
    """The trees a container of this image is stacked on, topmost first; missing ones unpacked."""
    trees = engine.trees
    missing = [d for d in image.row.diff_ids if not trees.has(d)]
    if missing:
        from kobako.engine import unpack
        from kobako.events import ignore
        from kobako.image.mutate import Image

        whole = Image.read(engine.store.blobs, image.row.manifest)
        unpack.unpack(engine, whole.manifest, whole.config, ignore)
    return of_layers(engine, image.row.diff_ids)


def of_layers(engine: Engine, diff_ids: tuple[Digest, ...]) -> list[str]:
    """Tree paths of unpacked layers, topmost first, with the skeleton beneath them all.

    Of a layer that is there twice the upper one says all that the lower one does, and overlay
    takes no tree twice (ELOOP).
    """
    found = [engine.trees.path(d) for d in dict.fromkeys(reversed(diff_ids))]
    found.append(_skeleton(engine))
    return found


def _skeleton(engine: Engine) -> str:
    """The lowest tree of every container: the places things are mounted on.

    Because they exist below the image, nothing has to be made in the writable layer and `diff`
    shows only what the container did (docker keeps an "init" layer for the same reason).
    """
    base = os.path.join(engine.settings.root, "skeleton")
    path = os.path.join(base, engine.mode.format, "tree")
    if not os.path.isdir(path):
        from kobako.engine import skeleton

        skeleton.make(engine, os.path.join(base, engine.mode.format))
    return path
