"""store: content by digest, the database, leases, gc and fsck.

The names below are loaded when first asked for: `kobako run` needs few of them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.store.cache import CacheRow
    from kobako.store.check import Finding, fsck
    from kobako.store.collect import GcReport, gc
    from kobako.store.containers import ContainerRow
    from kobako.store.content import ContentStore
    from kobako.store.database import Database
    from kobako.store.layout import export_index
    from kobako.store.leases import Held, Lease, lease
    from kobako.store.reader import BlobReader
    from kobako.store.rows import ImageRow, RefRow
    from kobako.store.store import Store
    from kobako.store.trees import remove_tree
    from kobako.store.writer import BlobWriter

_HOMES = {
    "BlobReader": "reader",
    "BlobWriter": "writer",
    "CacheRow": "cache",
    "ContainerRow": "containers",
    "ContentStore": "content",
    "Database": "database",
    "Finding": "check",
    "GcReport": "collect",
    "Held": "leases",
    "ImageRow": "rows",
    "Lease": "leases",
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
    "Held",
    "ImageRow",
    "Lease",
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
