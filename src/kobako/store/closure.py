"""What a digest refers to, through indexes and manifests down to configs, layers and trees."""

from __future__ import annotations

import os

from kobako.errors import Invalid, NotFound
from kobako.oci.digest import Digest
from kobako.oci.document import MAX_DOCUMENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kobako.oci.manifest import Index, Manifest
    from kobako.store.content import ContentStore


class Closure:
    """Grows from roots; each document is read once. The content may be missing in part."""

    def __init__(self, blobs: ContentStore) -> None:
        self._blobs = blobs
        self._children: dict[Digest, tuple[tuple[Digest, ...], tuple[Digest, ...]]] = {}

    def of(self, roots: Iterable[Digest]) -> tuple[set[Digest], set[Digest]]:
        """Blobs and trees (DiffIDs) that the roots keep, the roots among both.

        A root may be any content: whether it is a manifest, an index or a config is seen by its
        bytes. Raises `Corrupt` at a damaged document, whose children nobody knows any more.
        """
        kept: set[Digest] = set()
        trees: set[Digest] = set()
        pending = list(roots)
        trees.update(pending)
        while pending:
            digest = pending.pop()
            if digest in kept:
                continue
            kept.add(digest)
            blobs, diff_ids = self._look(digest)
            pending.extend(blobs)
            trees.update(diff_ids)
        return kept, trees

    def _look(self, digest: Digest) -> tuple[tuple[Digest, ...], tuple[Digest, ...]]:
        known = self._children.get(digest)
        if known is None:
            raw = _document(self._blobs, digest)
            if raw is None and not os.path.exists(self._blobs.path(digest)):
                return (), ()  # may arrive yet: not to be remembered
            known = _children(raw) if raw is not None else ((), ())
            self._children[digest] = known
        return known


def missing(blobs: ContentStore, digest: Digest) -> list[Digest]:
    """What is not there of a manifest and the config and layers it names; of an index, itself only
    (its manifests for other platforms need not be here). Layers with URLs may be elsewhere.
    """
    raw = _document(blobs, digest)
    if raw is None:
        return [] if os.path.exists(blobs.path(digest)) else [digest]
    from kobako.oci.manifest import Manifest

    manifest = _manifest(raw)
    if not isinstance(manifest, Manifest):
        return []
    parts = [manifest.config, *(layer for layer in manifest.layers if not layer.urls)]
    return [part.digest for part in parts if not os.path.exists(blobs.path(part.digest))]


def _document(blobs: ContentStore, digest: Digest) -> bytes | None:
    """The verified bytes of a blob that may be a JSON document; None for others and absent ones."""
    try:
        with open(blobs.path(digest), "rb") as file:
            if file.read(1) != b"{" or os.fstat(file.fileno()).st_size > MAX_DOCUMENT:
                return None
        return blobs.read(digest, MAX_DOCUMENT)
    except (FileNotFoundError, NotFound):
        return None


def _children(raw: bytes) -> tuple[tuple[Digest, ...], tuple[Digest, ...]]:
    from kobako.oci.manifest import Manifest

    found = _manifest(raw)
    if found is None:
        return (), _diff_ids(raw)
    if isinstance(found, Manifest):
        return (found.config.digest, *(layer.digest for layer in found.layers)), ()
    return tuple(entry.digest for entry in found.manifests), ()


def _manifest(raw: bytes) -> Manifest | Index | None:
    from kobako.oci.manifest import parse_manifest_or_index

    try:
        return parse_manifest_or_index(raw)
    except Invalid:
        return None


def _diff_ids(raw: bytes) -> tuple[Digest, ...]:
    from kobako.oci.config import ImageConfig

    try:
        return ImageConfig.parse(raw).diff_ids
    except Invalid:
        return ()
