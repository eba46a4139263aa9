"""What the database's tables hold, as values."""

from __future__ import annotations

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.oci.digest import Digest


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


class ContainerRow(Record):
    """A container: `id` in hex digits (64), a unique name, and what was asked for as JSON."""

    id: str
    name: str
    image_id: str
    image_ref: str
    created_ns: int
    spec: bytes


class CacheRow(Record):
    """A result of the build, found again by a key.

    `value` is JSON. Every digest that stands in it (of a manifest, config, layer or DiffID) is
    kept by gc, with all it refers to, as long as the row is there.
    """

    key: str
    value: bytes
    kind: str = ""
    size: int = 0
    created_ns: int = 0
    used_ns: int = 0
    uses: int = 0


class LeaseRow(Record):
    """A running operation and the digests it asked to keep. `pid` is for people only."""

    id: str
    pid: int
    note: str
    created_ns: int
    digests: tuple[Digest, ...] = ()
