"""store: content by digest, the database, leases, gc and fsck.

The names below are loaded when first asked for: `kobako run` needs few of them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.store.check import Finding, fsck
    from kobako.store.collect import GcReport, gc
    from kobako.store.content import BlobWriter, ContentStore
    from kobako.store.database import Database
    from kobako.store.layout import export_index
    from kobako.store.leases import Lease, lease
    from kobako.store.reader import BlobReader
    from kobako.store.rows import CacheRow, ContainerRow, ImageRow, LeaseRow, RefRow
    from kobako.store.store import Store
    from kobako.store.trees import remove_tree

_HOMES = {
    "BlobReader": "reader",
    "BlobWriter": "content",
    "CacheRow": "rows",
    "ContainerRow": "rows",
    "ContentStore": "content",
    "Database": "database",
    "Finding": "check",
    "GcReport": "collect",
    "ImageRow": "rows",
    "Lease": "leases",
    "LeaseRow": "rows",
    "RefRow": "rows",
    "Store": "store",
    "export_index": "layout",
    "fsck": "check",
    "gc": "collect",
    "lease": "leases",
    "remove_tree": "trees",
}

__all__ = [
    "BlobReader",
    "BlobWriter",
    "CacheRow",
    "ContainerRow",
    "ContentStore",
    "Database",
    "Finding",
    "GcReport",
    "ImageRow",
    "Lease",
    "LeaseRow",
    "RefRow",
    "Store",
    "export_index",
    "fsck",
    "gc",
    "lease",
    "remove_tree",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'kobako.store' has no attribute {name!r}")
    module = __import__(f"kobako.store.{home}", fromlist=[name])
    value: object = getattr(module, name)
    globals()[name] = value
    return value
