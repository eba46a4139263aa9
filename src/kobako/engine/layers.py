"""A writable layer turned into a layer of an image: one pass over what changed."""

from __future__ import annotations

import os

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.engine.engine import Engine
    from kobako.layer.change import Change
    from kobako.layer.pack import Graft
    from kobako.oci import Descriptor, Digest


class NewLayer(Record):
    """A layer whose blob is in the store. `diff_size` is its unpacked size in bytes."""

    diff_id: Digest
    descriptor: Descriptor
    diff_size: int


def settle(directory: str, changes: Sequence[Change], epoch: int) -> None:
    """Take the clock's traces out of the writable layer at `directory` (`layer.settle`)."""
    from kobako.layer.settle import settle

    fd = os.open(os.path.join(directory, "upper"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        settle(fd, changes, epoch)
    finally:
        os.close(fd)


def commit(
    engine: Engine,
    directory: str,
    lowers: Sequence[str],
    *,
    codec: str = "gzip",
    epoch: int | None = None,
    changes: Sequence[Change] | None = None,
    moving: bool = False,
    graft: Graft | None = None,
) -> NewLayer:
    """Pack what the writable layer at `directory` changed; its blob goes into the store.

    Only the changed files are read. `epoch` (seconds) clamps times. `moving`: a container writes
    there meanwhile. `graft` fills directories of it meanwhile (`layer.pack`).
    """
    from kobako.engine.filesystem import packable
    from kobako.layer.pack import pack
    from kobako.linux.ownership import Owners
    from kobako.oci import Descriptor

    found = packable(engine, directory, lowers) if changes is None else changes
    owners = Owners.load(os.path.join(directory, "owners"))
    fd = os.open(os.path.join(directory, "upper"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    form = engine.mode.format
    try:
        if graft is not None:
            graft.begin(fd)
        with engine.store.blobs.writer() as writer:
            packed = pack(
                fd, found, writer, codec, form, owners, epoch=epoch, moving=moving, graft=graft
            )
            writer.commit()
        if graft is not None:
            graft.finish()
    finally:
        if graft is not None:
            graft.stop()
        os.close(fd)
    descriptor = Descriptor(packed.media_type, packed.digest, packed.size)
    return NewLayer(packed.diff_id, descriptor, packed.diff_size)
