"""Manifests and indexes, of OCI and of Docker schema 2 alike (image-spec manifest.md,
image-index.md). The raw bytes stay beside every parsed document: a digest is of bytes.
"""

from __future__ import annotations

from kobako.errors import Invalid, NotFound
from kobako.oci import mediatypes
from kobako.oci.descriptor import Descriptor
from kobako.oci.digest import Digest
from kobako.oci.document import decode, encode
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from kobako.oci.document import Node
    from kobako.oci.platform import Platform


class Manifest(Record):
    """One image (or artifact): a config and layers, the lowest first."""

    raw: bytes
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: tuple[tuple[str, str], ...] = ()
    subject: Descriptor | None = None
    artifact_type: str = ""

    @property
    def digest(self) -> Digest:
        return Digest.of(self.raw)

    @property
    def descriptor(self) -> Descriptor:
        """What points to this manifest."""
        return Descriptor(self.media_type, self.digest, len(self.raw))

    @property
    def is_image(self) -> bool:
        """Whether it is a container image, not some other artifact (a chart, a signature)."""
        return self.config.media_type in (mediatypes.OCI_CONFIG, mediatypes.DOCKER_CONFIG)

    @classmethod
    def parse(cls, raw: bytes, media_type: str = "") -> Manifest:
        """A manifest from its bytes; `media_type` is what the registry called it, if it said.

        Raises `Invalid` for an index, for schema 1 and for anything malformed.
        """
        found = parse_manifest_or_index(raw, media_type)
        if not isinstance(found, Manifest):
            raise Invalid("expected an image manifest, found an index")
        return found

    @classmethod
    def build(
        cls,
        config: Descriptor,
        layers: Iterable[Descriptor],
        *,
        media_type: str = mediatypes.OCI_MANIFEST,
        annotations: Iterable[tuple[str, str]] = (),
        subject: Descriptor | None = None,
        artifact_type: str = "",
    ) -> Manifest:
        """A new manifest with deterministic bytes.

        Config and layers take the media types of the manifest's family. A Docker manifest that
        Docker's family cannot express (a zstd layer, annotations, a subject) becomes an OCI one.
        """
        stack, marks = tuple(layers), tuple(sorted(annotations))
        if mediatypes.is_docker(media_type) and (
            marks
            or subject is not None
            or artifact_type
            or any(mediatypes.counterpart(d.media_type, media_type) is None for d in stack)
        ):
            media_type = mediatypes.OCI_MANIFEST
        config = _in_family(config, media_type)
        stack = tuple(_in_family(layer, media_type) for layer in stack)
        document: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type}
        if artifact_type:
            document["artifactType"] = artifact_type
        document["config"] = config.to_json()
        document["layers"] = [layer.to_json() for layer in stack]
        if subject is not None:
            document["subject"] = subject.to_json()
        if marks:
            document["annotations"] = dict(marks)
        raw = encode(document)
        return cls(raw, media_type, config, stack, marks, subject, artifact_type)


class Index(Record):
    """Several manifests for one name, usually one for each platform."""

    raw: bytes
    media_type: str
    manifests: tuple[Descriptor, ...]
    annotations: tuple[tuple[str, str], ...] = ()
    subject: Descriptor | None = None
    artifact_type: str = ""

    @property
    def digest(self) -> Digest:
        return Digest.of(self.raw)

    @property
    def descriptor(self) -> Descriptor:
        """What points to this index."""
        return Descriptor(self.media_type, self.digest, len(self.raw))

    @classmethod
    def parse(cls, raw: bytes, media_type: str = "") -> Index:
        """An index from its bytes; `Invalid` for a manifest and for anything malformed."""
        found = parse_manifest_or_index(raw, media_type)
        if not isinstance(found, Index):
            raise Invalid("expected an image index, found a manifest")
        return found

    @classmethod
    def build(
        cls,
        manifests: Iterable[Descriptor],
        *,
        media_type: str = mediatypes.OCI_INDEX,
        annotations: Iterable[tuple[str, str]] = (),
        subject: Descriptor | None = None,
        artifact_type: str = "",
    ) -> Index:
        """A new index with deterministic bytes, its manifests in the order given."""
        entries, marks = tuple(manifests), tuple(sorted(annotations))
        document: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type}
        if artifact_type:
            document["artifactType"] = artifact_type
        document["manifests"] = [entry.to_json() for entry in entries]
        if subject is not None:
            document["subject"] = subject.to_json()
        if marks:
            document["annotations"] = dict(marks)
        return cls(encode(document), media_type, entries, marks, subject, artifact_type)

    def select(self, platform: Platform) -> Descriptor:
        """The manifest that serves `platform` best; `NotFound` lists the platforms there are.

        An index of one manifest that names no platform is taken to mean it. Attestations
        (platform unknown/unknown) are never selected.
        """
        ranked = [
            (rank, position)
            for position, entry in enumerate(self.manifests)
            if entry.platform is not None and (rank := entry.platform.rank(platform)) is not None
        ]
        if ranked:
            return self.manifests[min(ranked)[1]]
        if len(self.manifests) == 1 and self.manifests[0].platform is None:
            return self.manifests[0]
        there = sorted({str(e.platform) for e in self.manifests if _is_real(e.platform)})
        raise NotFound(
            f"no matching manifest for {platform} in the manifest list entries",
            hint=f"there is one for: {', '.join(there)}" if there else "",
        )


def parse_manifest_or_index(raw: bytes, media_type: str = "") -> Manifest | Index:
    """Whichever of the two the bytes are.

    `media_type` is the Content-Type or the descriptor's media type; where it names a known kind it
    must agree with the document's own `mediaType`. A document that could be read as both is
    refused (CVE-2021-41190). Raises `Invalid`.
    """
    root = decode(raw, "manifest")
    kind = _kind(root, media_type)
    if kind in mediatypes.INDEXES:
        return Index(
            raw=raw,
            media_type=kind,
            manifests=tuple(Descriptor.decode(n) for n in root.get("manifests").items()),
            annotations=root.get("annotations").pairs(),
            subject=_subject(root),
            artifact_type=root.get("artifactType").string(""),
        )
    return Manifest(
        raw=raw,
        media_type=kind,
        config=Descriptor.decode(root.get("config")),
        layers=tuple(Descriptor.decode(n) for n in root.get("layers").items()),
        annotations=root.get("annotations").pairs(),
        subject=_subject(root),
        artifact_type=root.get("artifactType").string(""),
    )


def _kind(root: Node, said: str) -> str:
    """The media type of a document, by what it says, what was said of it, and its shape."""
    said = said.partition(";")[0].strip().lower()
    own = root.get("mediaType").string("")
    version = root.get("schemaVersion")
    if said in mediatypes.SCHEMA1 or own in mediatypes.SCHEMA1 or version.value == 1:
        raise Invalid(
            "image manifest schema 1 is not supported",
            hint="push the image again with a client of this decade to convert it to schema 2",
        )
    if version.present and version.integer() != 2:
        raise version.fault(f"unknown version {version.value}")
    if own and own not in mediatypes.ACCEPTED:
        raise root.get("mediaType").fault(f"{own[:100]!r} is neither a manifest nor an index")
    if said in mediatypes.ACCEPTED and own and own != said:
        raise root.get("mediaType").fault(f"{own!r} contradicts the media type {said[:100]!r}")
    is_index = root.get("manifests").present
    if is_index and (root.get("layers").present or root.get("config").present):
        raise root.fault('both "manifests" and "config" or "layers" are there')
    kind = own or (said if said in mediatypes.ACCEPTED else "")
    if not kind:
        kind = mediatypes.OCI_INDEX if is_index else mediatypes.OCI_MANIFEST
    if is_index and kind not in mediatypes.INDEXES:
        raise root.get("manifests").fault(f'a document of type "{kind}" has none')
    return kind


def _subject(root: Node) -> Descriptor | None:
    subject = root.get("subject")
    return Descriptor.decode(subject) if subject.present else None


def _in_family(descriptor: Descriptor, family: str) -> Descriptor:
    media_type = mediatypes.counterpart(descriptor.media_type, family) or descriptor.media_type
    if media_type == descriptor.media_type:
        return descriptor
    return descriptor.replace(media_type=media_type)


def _is_real(platform: Platform | None) -> bool:
    return platform is not None and platform.os not in ("", "unknown")
