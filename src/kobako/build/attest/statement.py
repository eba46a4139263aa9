"""In-toto statements, and the manifest that attaches them to an image.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and BuildKit's
docs/attestations/attestation-storage.md.
"""

from __future__ import annotations

from kobako import fastjson
from kobako.oci import Descriptor, Digest, Manifest, Platform, mediatypes
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from kobako.oci import Reference

IN_TOTO = "application/vnd.in-toto+json"
ARTIFACT = "application/vnd.docker.attestation.manifest.v1+json"
SPDX = "https://spdx.dev/Document"
NOWHERE = Platform("unknown", "unknown")
"""The platform of an attestation's manifest: nobody runs it."""

_EMPTY = b"{}"
_STATEMENT = "https://in-toto.io/Statement/v1"


class Attestation(Record):
    """A predicate and its type; `filename` is its name among files, "" when it is to be in
    images only."""

    predicate_type: str
    predicate: dict[str, Any]
    filename: str = ""


class Attached(Record):
    """A manifest of attestations: the descriptor an index has of it, and all of its blobs, the
    manifest last."""

    entry: Descriptor
    blobs: tuple[bytes, ...]


def purl(kind: str, reference: Reference, platform: Platform | None = None) -> str:
    """A reference as a package URL: `pkg:docker/ns/name@tag?platform=linux%2Famd64`."""
    from urllib.parse import quote

    whole = reference.with_default_tag()
    name = "/".join(quote(part, safe=":") for part in whole.familiar_name.split("/"))
    version = f"@{quote(whole.tag, safe=':')}" if whole.tag else ""
    qualifiers = []
    if whole.digest:
        qualifiers.append(f"digest={quote(str(whole.digest), safe=':')}")
    if platform is not None:
        qualifiers.append(f"platform={quote(str(platform.normalised()), safe=':')}")
    return f"pkg:{kind}/{name}{version}" + ("?" + "&".join(qualifiers) if qualifiers else "")


def statement(attestation: Attestation, subjects: Iterable[tuple[str, Digest]]) -> dict[str, Any]:
    """The statement that a predicate is true of `subjects` (name, digest)."""
    return {
        "_type": _STATEMENT,
        "predicateType": attestation.predicate_type,
        "subject": [
            {"name": name, "digest": {digest.algorithm: digest.encoded}}
            for name, digest in subjects
        ],
        "predicate": attestation.predicate,
    }


def attach(
    target: Descriptor,
    platform: Platform,
    names: Sequence[Reference],
    attestations: Sequence[Attestation],
    *,
    artifact: bool,
) -> Attached:
    """The manifest that says these things of the image `target`: an OCI artifact that refers to
    it, or one that looks like an image, for registries that know no others."""
    subjects = [(purl("docker", name, platform), target.digest) for name in names]
    blobs = [fastjson.dumps(statement(each, subjects)) for each in attestations]
    layers = [
        Descriptor(
            IN_TOTO,
            Digest.of(raw),
            len(raw),
            annotations=(("in-toto.io/predicate-type", each.predicate_type),),
        )
        for raw, each in zip(blobs, attestations, strict=True)
    ]
    if artifact:
        config = _EMPTY
        pointer = Descriptor(mediatypes.OCI_EMPTY, Digest.of(config), len(config), data=config)
        subject = Descriptor(target.media_type, target.digest, target.size)
        manifest = Manifest.build(pointer, layers, subject=subject, artifact_type=ARTIFACT)
    else:
        config = _image_config(layers)
        pointer = Descriptor(mediatypes.OCI_CONFIG, Digest.of(config), len(config))
        manifest = Manifest.build(pointer, layers)
    marks = (
        ("vnd.docker.reference.digest", str(target.digest)),
        ("vnd.docker.reference.type", "attestation-manifest"),
    )
    entry = manifest.descriptor.replace(platform=NOWHERE, annotations=marks)
    return Attached(entry, (*blobs, config, manifest.raw))


def _image_config(layers: Sequence[Descriptor]) -> bytes:
    return fastjson.dumps(
        {
            "architecture": NOWHERE.architecture,
            "os": NOWHERE.os,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [str(layer.digest) for layer in layers]},
        }
    )
