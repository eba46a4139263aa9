"""save, load and import: images in and out of tar archives."""

from __future__ import annotations

import time

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from kobako.engine.engine import Engine
    from kobako.image.archive.load import Loaded
    from kobako.image.mutate import Image
    from kobako.oci import Digest, Reference


class LoadedImage(Record):
    """One image of an archive; `references` are familiar names, maybe none."""

    image_id: str
    references: tuple[str, ...]


def save(engine: Engine, names: Sequence[str], sink: BinaryIO, form: str) -> None:
    """Write images, each with the names given, as one archive (`form`: docker or oci)."""
    from kobako.engine import image_platforms, images, recording
    from kobako.image.archive.save import save as write
    from kobako.store.leases import lease

    store = engine.store
    with lease(store, "save") as held:
        chosen: list[tuple[Reference | None, Digest]] = []
        saved: list[str] = []
        for name in names:
            image = images.find(engine, name)
            held.keep(image.target)
            saved.append(image.id)
            reference = image.reference
            if reference is not None and reference.digest is not None:
                reference = None
            chosen.append((reference, image_platforms.portable(engine, image)))
        write(store.blobs, chosen, sink, form)
        recording.images(engine, *(("save", i, i) for i in saved))


def load(engine: Engine, stream: BinaryIO) -> Iterator[LoadedImage]:
    """Read images from an archive, unpacked and named as the archive says."""
    from kobako.engine import image_naming, recording, unpack
    from kobako.events import ignore
    from kobako.image.archive.load import load as read
    from kobako.store.leases import lease

    engine.try_enter()  # before threads exist
    store = engine.store
    with lease(store, "load"):
        for entry in read(store.blobs, stream, on_layer=unpack.while_it_arrives(engine)):
            # A name means this machine's image of an index; the others are there when asked for.
            for image in _meant(entry) if entry.references else entry.images:
                unpack.unpack(engine, image.manifest, image.config, ignore)
                size = unpack.size(engine, image.manifest, image.config)
                image_id = image_naming.record(
                    engine,
                    image.manifest,
                    image.config,
                    size,
                    entry.references,
                    entry.target.digest,
                )
                recording.images(engine, ("load", image_id, image_id))
                yield LoadedImage(str(image_id), tuple(n.familiar() for n in entry.references))


def _meant(entry: Loaded) -> tuple[Image, ...]:
    """Of an archive's images under one name the one that serves this machine best."""
    from kobako.oci import Platform

    if len(entry.images) < 2:
        return entry.images
    host = Platform.host()
    ranks = [image.config.platform.rank(host) for image in entry.images]
    best = min(range(len(ranks)), key=lambda at: (ranks[at] is None, ranks[at] or 0, at))
    return (entry.images[best],)


def import_tree(
    engine: Engine,
    stream: BinaryIO,
    target: str,
    *,
    changes: Sequence[str],
    message: str,
    platform: str,
) -> Digest:
    """Make a one-layer image of a root file system's tar; its id."""
    from kobako.engine import image_naming, recording, unpack
    from kobako.engine.moments import rfc3339
    from kobako.events import ignore
    from kobako.image.archive.root_tar import import_root
    from kobako.oci import Platform
    from kobako.store.leases import lease

    reference = image_naming.new_name(target) if target else None
    engine.try_enter()  # before threads exist
    store = engine.store
    wanted = Platform.parse(platform) if platform else Platform.host()
    created = rfc3339(time.time_ns())
    with lease(store, "import"):
        image = import_root(
            store.blobs, stream, wanted, created=created, changes=changes, message=message
        )
        unpack.unpack(engine, image.manifest, image.config, ignore)
        size = unpack.size(engine, image.manifest, image.config)
        names = (reference,) if reference is not None else ()
        image_id = image_naming.record(engine, image.manifest, image.config, size, names)
    image_naming.tell(engine, image.config, names)
    recording.images(engine, ("import", image_id, image_id))
    return image_id
