"""A root filesystem as an image of one layer: docker's `import`."""

from __future__ import annotations

from kobako.errors import Invalid
from kobako.image import mutate
from kobako.image.archive.contents import Spooler
from kobako.image.archive.load import decompressed
from kobako.image.config_change import apply_changes
from kobako.oci import mediatypes
from kobako.oci.config import History
from kobako.oci.descriptor import Descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

    from kobako.image.archive.contents import OnLayer
    from kobako.image.mutate import Image
    from kobako.oci.platform import Platform
    from kobako.store import ContentStore


def import_root(
    blobs: ContentStore,
    stream: BinaryIO,
    platform: Platform,
    *,
    created: str,
    changes: Iterable[str] = (),
    message: str = "",
    on_layer: OnLayer | None = None,
) -> Image:
    """Store a tar of a root filesystem, compressed or not, as an image; its documents too.

    `created` is RFC 3339, `changes` are Dockerfile instructions, `message` becomes the comment.
    The caller holds a lease, and unpacks the layer (`on_layer` may do so at once), which is what
    finds faults deep in the tar; `Invalid` here when it is no tar at all.
    """
    config = apply_changes({}, changes)  # before the long work
    stored = Spooler(blobs, on_layer).spool(_checked(decompressed(stream)).read, layer=True)
    layer = Descriptor(mediatypes.OCI_LAYER, stored.digest, stored.size)
    entry = History(created=created, comment=message)
    image = mutate.scratch(platform, created=created, config=config)
    image = mutate.append_layer(image, layer, stored.digest, entry)
    if message:
        image = mutate.with_comment(image, message)
    image.write(blobs)
    return image


class _checked:  # noqa: N801 - read as a verb where it is used
    """A stream whose first block must be a tar header, or the end of an empty tar."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._begun = False

    def read(self, size: int) -> bytes:
        chunk = self._stream.read(size)
        if not self._begun:
            self._begun = True
            while len(chunk) < 512 and (more := self._stream.read(512 - len(chunk))):
                chunk += more
            _check_header(chunk[:512])
        return chunk


def _check_header(block: bytes) -> None:
    if len(block) == 512 and not block.strip(b"\0"):
        return
    stated = block[148:156].strip(b" \0")
    if len(block) < 512 or not stated or stated.strip(b"01234567"):
        raise Invalid("what is imported is not a tar archive")
    if int(stated, 8) != sum(block[:148]) + 256 + sum(block[156:]):
        raise Invalid("what is imported is not a tar archive")
