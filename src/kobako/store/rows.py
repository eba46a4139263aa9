"""What the tables of images say, without the database: a copy of it may be all that is read."""

from __future__ import annotations

from kobako.oci.digest import Digest
from kobako.record import Record


class RefRow(Record):
    """A name (a full reference, as `str(Reference)`) and the manifest or index it points to.

    `image` is the id of the image it means on this machine, or empty where that is unknown.
    """

    name: str
    digest: Digest
    image: str = ""
    updated_ns: int = 0


class ImageRow(Record):
    """An image: `id` is its config's digest, `parent` the id of the image it was made from.

    `size` is the sum of its unpacked layers in bytes; `platform` as `str(Platform)`; `diff_ids`
    lowest first. `created_ns` is nanoseconds since the epoch: of the config's `created`, or
    when it was built here.
    """

    id: Digest
    manifest: Digest
    created_ns: int
    size: int
    parent: str = ""
    platform: str = ""
    diff_ids: tuple[Digest, ...] = ()
