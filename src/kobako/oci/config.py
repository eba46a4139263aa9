"""Image configs (image-spec config.md, and docker's additions to it)."""

from __future__ import annotations

from kobako import fastjson
from kobako.oci.digest import Digest
from kobako.oci.document import decode, encode
from kobako.oci.execution import parameters
from kobako.oci.platform import Platform
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.oci.document import Node

_HISTORY = ("created", "created_by", "author", "comment", "empty_layer")


class History(Record):
    """One step of an image's history. `created` is RFC 3339 text as it was written."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False

    def to_json(self) -> dict[str, Any]:
        """The JSON object, without empty members."""
        return {key: getattr(self, key) for key in _HISTORY if getattr(self, key)}


class ImageConfig(Record):
    """The config of an image; its digest is the image's id.

    `raw` are the bytes, `data` the whole document: read it, never change it. Two configs are equal
    if their bytes are.
    """

    raw: bytes
    data: dict[str, Any]
    config: dict[str, Any]
    """The `config` object: docker's keys (Env, Cmd, ...) with their nulls dropped."""
    diff_ids: tuple[Digest, ...]
    history: tuple[History, ...]
    platform: Platform

    @classmethod
    def parse(cls, raw: bytes) -> ImageConfig:
        """A config from its bytes; `Invalid` names the path of a fault."""
        root = decode(raw, "image config")
        rootfs = root.get("rootfs")
        kind = rootfs.get("type")
        if kind.string("layers") != "layers":
            raise kind.fault('the only known type is "layers"')
        diff_ids = rootfs.get("diff_ids")
        history = root.get("history")
        config = root.get("config")
        for key in ("created", "author", "docker_version"):
            root.get(key).string("")
        return cls(
            raw=raw,
            data=root.object(),
            config=parameters(config) if config.present else {},
            diff_ids=tuple(n.digest() for n in diff_ids.items()) if diff_ids.present else (),
            history=tuple(map(_history, history.items())) if history.present else (),
            platform=Platform(
                os=root.get("os").string("") or "linux",
                architecture=root.get("architecture").string(""),
                variant=root.get("variant").string(""),
                os_version=root.get("os.version").string(""),
            ),
        )

    @classmethod
    def build(cls, document: dict[str, Any]) -> ImageConfig:
        """A config from a document of the spec's keys: the same document gives the same bytes,
        whatever the order of its keys. Raises `Invalid`.
        """
        return cls.parse(encode(document, sort_keys=True))

    @property
    def digest(self) -> Digest:
        """The image's id."""
        return Digest.of(self.raw)

    @property
    def created(self) -> str:
        """When the image was made: RFC 3339 text, or empty."""
        created: str = self.data.get("created") or ""
        return created

    @property
    def author(self) -> str:
        author: str = self.data.get("author") or ""
        return author

    def document(self) -> dict[str, Any]:
        """A copy of the whole document, to change and `build` anew."""
        copied: dict[str, Any] = fastjson.loads(self.raw)
        return copied

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ImageConfig) and other.raw == self.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"ImageConfig({self.digest.short}, {self.platform}, {len(self.diff_ids)} layers)"


def _history(node: Node) -> History:
    empty = node.get("empty_layer")
    if empty.present and not isinstance(empty.value, bool):
        raise empty.fault("expected true or false")
    return History(
        created=node.get("created").string(""),
        created_by=node.get("created_by").string(""),
        author=node.get("author").string(""),
        comment=node.get("comment").string(""),
        empty_layer=bool(empty.value),
    )
