"""Pure functions from image to image. Nothing is written: the caller stores the documents.

Every function keeps the family (OCI or Docker schema 2) and the keys it does not know of.
"""

from __future__ import annotations

from kobako.errors import Invalid
from kobako.oci import mediatypes
from kobako.oci.config import History, ImageConfig
from kobako.oci.descriptor import Descriptor
from kobako.oci.digest import Digest
from kobako.oci.document import MAX_DOCUMENT
from kobako.oci.manifest import Manifest, parse_manifest_or_index
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from kobako.oci.platform import Platform
    from kobako.store.content import ContentStore


class Image(Record):
    """A manifest and the config it points to; layers are known by their descriptors."""

    manifest: Manifest
    config: ImageConfig

    @property
    def id(self) -> Digest:
        """docker's image id: the digest of the config."""
        return self.config.digest

    @property
    def layers(self) -> tuple[tuple[Digest, Descriptor], ...]:
        """(DiffID, descriptor) of each layer, the lowest first."""
        return tuple(zip(self.config.diff_ids, self.manifest.layers, strict=True))

    @property
    def size(self) -> int:
        """Bytes of config and layers as stored."""
        return self.manifest.config.size + sum(layer.size for layer in self.manifest.layers)

    @classmethod
    def read(cls, blobs: ContentStore, manifest: Digest) -> Image:
        """The image whose manifest has this digest; `NotFound`, `Corrupt` or `Invalid` if not."""
        found = parse_manifest_or_index(blobs.read(manifest, MAX_DOCUMENT))
        if not isinstance(found, Manifest):
            raise Invalid(f"{manifest} is an index of several images, not one image")
        config = ImageConfig.parse(blobs.read(found.config.digest, MAX_DOCUMENT))
        return cls.of(found, config)

    @classmethod
    def of(cls, manifest: Manifest, config: ImageConfig) -> Image:
        """The two as one image; `Invalid` when they do not tell of the same layers."""
        if len(manifest.layers) != len(config.diff_ids):
            raise Invalid(
                f"malformed image {config.digest.short}: the manifest has {len(manifest.layers)}"
                f" layers, the config {len(config.diff_ids)}"
            )
        return cls(manifest, config)

    def write(self, blobs: ContentStore) -> Descriptor:
        """Put config and manifest into the store (idempotent); what points to the manifest."""
        blobs.put_all(self.config.raw, self.manifest.raw)
        return self.manifest.descriptor


def scratch(
    platform: Platform,
    *,
    created: str = "",
    author: str = "",
    config: Mapping[str, Any] | None = None,
    family: str = mediatypes.OCI_MANIFEST,
) -> Image:
    """An image without layers. `family` is the media type of its manifest."""
    document: dict[str, Any] = {"architecture": platform.architecture, "os": platform.os}
    if platform.variant:
        document["variant"] = platform.variant
    if platform.os_version:
        document["os.version"] = platform.os_version
    if created:
        document["created"] = created
    if author:
        document["author"] = author
    document["config"] = dict(config or {})
    document["rootfs"] = {"type": "layers", "diff_ids": []}
    document["history"] = []
    return _build(document, (), family)


def append_layer(image: Image, layer: Descriptor, diff_id: Digest, history: History) -> Image:
    """`image` with one more layer on top and its history entry.

    Pass `Descriptor(packed.media_type, packed.digest, packed.size)`. The image's `created` becomes
    the entry's, if that has one.
    """
    document = image.config.document()
    document["rootfs"] = {
        "type": "layers",
        "diff_ids": [*map(str, image.config.diff_ids), str(diff_id)],
    }
    _add_history(document, history.replace(empty_layer=False))
    return _build(document, (*image.manifest.layers, layer), image.manifest.media_type)


def with_config(image: Image, config: Mapping[str, Any], history: History | None = None) -> Image:
    """`image` with another `config` object; `history`, if given, becomes an empty-layer entry.

    Keys whose value is None are left out.
    """
    document = image.config.document()
    document["config"] = {key: value for key, value in config.items() if value is not None}
    if history is not None:
        _add_history(document, history.replace(empty_layer=True))
    return _build(document, image.manifest.layers, image.manifest.media_type)


def with_author(image: Image, author: str) -> Image:
    """`image` with another author ("" removes it)."""
    return _with_member(image, "author", author)


def with_comment(image: Image, comment: str) -> Image:
    """`image` with docker's top-level comment, as `commit -m` and `import -m` write it."""
    return _with_member(image, "comment", comment)


def with_layers(image: Image, layers: Iterable[Descriptor]) -> Image:
    """`image` with the same content stored in other forms (compressed, or not): same config, same
    id, another manifest. Raises `Invalid` when the number of layers changes."""
    return Image.of(
        Manifest.build(
            image.manifest.config,
            layers,
            media_type=image.manifest.media_type,
            annotations=image.manifest.annotations,
            subject=image.manifest.subject,
            artifact_type=image.manifest.artifact_type,
        ),
        image.config,
    )


def _with_member(image: Image, key: str, value: str) -> Image:
    document = image.config.document()
    document.pop(key, None)
    if value:
        document[key] = value
    return _build(document, image.manifest.layers, image.manifest.media_type)


def _add_history(document: dict[str, Any], entry: History) -> None:
    document["history"] = [*(document.get("history") or ()), entry.to_json()]
    if entry.created:
        document["created"] = entry.created


def _build(document: dict[str, Any], layers: tuple[Descriptor, ...], family: str) -> Image:
    return _assemble(ImageConfig.build(document), layers, family)


def _assemble(config: ImageConfig, layers: tuple[Descriptor, ...], family: str) -> Image:
    pointer = Descriptor(mediatypes.OCI_CONFIG, config.digest, len(config.raw))
    return Image.of(Manifest.build(pointer, layers, media_type=family), config)
