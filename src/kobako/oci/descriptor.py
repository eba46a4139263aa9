"""Descriptors: what points from one document to the next (image-spec descriptor.md)."""

from __future__ import annotations

from kobako.oci.digest import Digest
from kobako.oci.platform import Platform
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.oci.document import Node


class Descriptor(Record):
    """A media type, a digest and a size in bytes.

    `annotations` are pairs sorted by key; `data` is the content itself where it was embedded.
    """

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    urls: tuple[str, ...] = ()
    data: bytes | None = None
    artifact_type: str = ""

    @classmethod
    def decode(cls, node: Node) -> Descriptor:
        """The descriptor at a place of a document; `Invalid` names the path of a fault."""
        platform = node.get("platform")
        data = node.get("data")
        return cls(
            media_type=node.get("mediaType").string(""),
            digest=node.get("digest").digest(),
            size=node.get("size").integer(),
            platform=_platform(platform) if platform.present else None,
            annotations=node.get("annotations").pairs(),
            urls=node.get("urls").strings(),
            data=_embedded(data, node) if data.present else None,
            artifact_type=node.get("artifactType").string(""),
        )

    def annotation(self, key: str, default: str = "") -> str:
        """The value of an annotation."""
        for name, value in self.annotations:
            if name == key:
                return value
        return default

    def to_json(self) -> dict[str, Any]:
        """The JSON object, keys in the specification's order."""
        found: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.urls:
            found["urls"] = list(self.urls)
        if self.annotations:
            found["annotations"] = dict(sorted(self.annotations))
        if self.data is not None:
            from binascii import b2a_base64

            found["data"] = b2a_base64(self.data, newline=False).decode("ascii")
        if self.platform is not None:
            found["platform"] = self.platform.to_json()
        if self.artifact_type:
            found["artifactType"] = self.artifact_type
        return found


def _platform(node: Node) -> Platform:
    return Platform(
        os=node.get("os").string(""),
        architecture=node.get("architecture").string(""),
        variant=node.get("variant").string(""),
        os_version=node.get("os.version").string(""),
    )


def _embedded(node: Node, parent: Node) -> bytes:
    """Embedded content, which must be what the digest and the size say (descriptor.md)."""
    from binascii import Error, a2b_base64

    try:
        data = a2b_base64(node.string(), strict_mode=True)
    except (Error, ValueError):
        raise node.fault("not base64") from None
    if len(data) != parent.get("size").value or not parent.get("digest").digest().verifies(data):
        raise node.fault("the embedded content is not what digest and size say")
    return data
