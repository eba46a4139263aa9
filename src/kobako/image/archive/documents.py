"""The documents of an archive: docker's manifest.json and repositories, an OCI layout's index.

The docker format is that of moby's image/spec ("Combined Image JSON + Filesystem Changeset");
the layout that of image-spec image-layout.md.
"""

from __future__ import annotations

import posixpath

from kobako import fastjson
from kobako.errors import Invalid
from kobako.oci.document import Node
from kobako.oci.reference import Reference
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kobako.oci.descriptor import Descriptor
    from kobako.oci.digest import Digest

OCI_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"


class DockerImage(Record):
    """An element of manifest.json: member names of the config and of the layers, lowest first."""

    config: str
    layers: tuple[str, ...]
    tags: tuple[str, ...] = ()


def parse_docker_manifest(raw: bytes) -> tuple[DockerImage, ...]:
    """The images of a manifest.json; `Invalid` names the path of a fault."""
    try:
        root = Node(fastjson.loads(raw), "$", "manifest.json")
    except ValueError as fault:
        raise Invalid(f"malformed manifest.json: {fault}") from None
    images = []
    for node in root.items():
        layers, tags = node.get("Layers"), node.get("RepoTags")
        images.append(
            DockerImage(
                config=member_name(node.get("Config").string()),
                layers=tuple(map(member_name, layers.strings())) if layers.present else (),
                tags=tags.strings() if tags.present else (),
            )
        )
    return tuple(images)


def build_docker_manifest(images: Iterable[DockerImage]) -> bytes:
    """manifest.json."""
    return fastjson.dumps(
        [
            {"Config": i.config, "RepoTags": list(i.tags) or None, "Layers": list(i.layers)}
            for i in images
        ]
    )


def build_repositories(tops: Iterable[tuple[Reference, Digest]]) -> bytes:
    """The legacy `repositories`: name -> tag -> top layer."""
    found: dict[str, dict[str, str]] = {}
    for reference, top in tops:
        if reference.tag:
            found.setdefault(reference.familiar_name, {})[reference.tag] = top.encoded
    return fastjson.dumps(found)


def member_name(text: str) -> str:
    """A member's name as it is compared: relative, without `.` parts. `Invalid` when it leads
    out of the archive."""
    name = posixpath.normpath(text) if text else ""
    if not name or name.startswith(("/", "../")) or name in (".", "..") or "\0" in text:
        raise Invalid(f"the archive names {text[:200]!r}, which is not inside it")
    return name


def blob_name(digest: Digest) -> str:
    """Where an image layout keeps a blob."""
    return f"blobs/{digest.algorithm}/{digest.encoded}"


def name_annotations(reference: Reference | None) -> tuple[tuple[str, str], ...]:
    """How an index.json tells an image's name: in full as containerd reads it, the tag alone as
    the image-spec has it."""
    if reference is None or reference.tag is None:
        return ()
    full = str(reference.replace(digest=None))
    return ((CONTAINERD_NAME, full), (REF_NAME, reference.tag))


def annotated_name(descriptor: Descriptor) -> Reference | None:
    """The full name an index.json gives an image, if it gives one: a lone tag is none."""
    for key in (CONTAINERD_NAME, REF_NAME):
        text = descriptor.annotation(key)
        if not text or (key == REF_NAME and "/" not in text and ":" not in text):
            continue
        try:
            return Reference.parse(text).with_default_tag()
        except Invalid:
            continue  # the annotation is free text for others
    return None
