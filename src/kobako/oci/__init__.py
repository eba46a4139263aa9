"""oci: digests, references, platforms, descriptors, manifests and configs. No I/O.

The names below are loaded when first asked for: `kobako run` needs few of them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.oci.config import History, ImageConfig
    from kobako.oci.descriptor import Descriptor
    from kobako.oci.digest import ChainID, DiffID, Digest, chain_id
    from kobako.oci.manifest import Index, Manifest, parse_manifest_or_index
    from kobako.oci.platform import Platform
    from kobako.oci.reference import Reference

__all__ = [
    "ChainID",
    "Descriptor",
    "DiffID",
    "Digest",
    "History",
    "ImageConfig",
    "Index",
    "Manifest",
    "Platform",
    "Reference",
    "chain_id",
    "parse_manifest_or_index",
]

_HOMES = {
    "ChainID": "digest",
    "Descriptor": "descriptor",
    "DiffID": "digest",
    "Digest": "digest",
    "History": "config",
    "ImageConfig": "config",
    "Index": "manifest",
    "Manifest": "manifest",
    "Platform": "platform",
    "Reference": "reference",
    "chain_id": "digest",
    "parse_manifest_or_index": "manifest",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'kobako.oci' has no attribute {name!r}")
    module = __import__(f"kobako.oci.{home}", fromlist=[name])
    value: object = getattr(module, name)
    globals()[name] = value
    return value
