"""What a pushed manifest must be, and what is recorded of it."""

from __future__ import annotations

from kobako import fastjson
from kobako.errors import Invalid
from kobako.hub.refusals import Refusal
from kobako.hub.repositories import NewManifest, StoredManifest
from kobako.oci import Digest, Index, Manifest, mediatypes, parse_manifest_or_index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.hub.repositories import Repositories
    from kobako.oci import Descriptor


def examine(
    repositories: Repositories, repository: str, raw: bytes, content_type: str, digest: Digest
) -> NewManifest:
    """The record of a manifest with this digest, if it is well formed and everything is there.

    Refusals: MANIFEST_INVALID for the document (schema 1 too), MANIFEST_BLOB_UNKNOWN with one
    error for what the repository lacks. A subject need not exist; foreign layers need not either.
    """
    said = content_type.partition(";")[0].strip()
    if said and said not in mediatypes.ACCEPTED and said not in mediatypes.SCHEMA1:
        if said not in ("application/json", "application/octet-stream"):
            raise Refusal(400, "MANIFEST_INVALID", f"{said[:200]!r} is no type of manifest")
        said = ""
    try:
        document = parse_manifest_or_index(raw, said)
    except Invalid as error:
        raise Refusal(400, "MANIFEST_INVALID", error.message) from error
    blobs, manifests = _references(document)
    missing = repositories.missing(repository, blobs, manifests)
    if missing:
        message = f"manifest references content unknown to {repository}: {missing[0]}"
        detail = [{"digest": d} for d in missing]
        raise Refusal(404, "MANIFEST_BLOB_UNKNOWN", message, detail=detail)
    artifact_type = document.artifact_type
    if not artifact_type and isinstance(document, Manifest):
        artifact_type = document.config.media_type
    return NewManifest(
        StoredManifest(digest, document.media_type, len(raw)),
        tuple(blobs),
        tuple(manifests),
        document.subject.digest if document.subject else None,
        artifact_type,
        _referrer(document, digest, artifact_type),
    )


def _references(document: Manifest | Index) -> tuple[list[Digest], list[Digest]]:
    if isinstance(document, Index):
        blobs = [entry for entry in document.manifests if _is_blob(entry)]
        manifests = [entry for entry in document.manifests if not _is_blob(entry)]
        return [entry.digest for entry in blobs], [entry.digest for entry in manifests]
    layers = [layer.digest for layer in document.layers if not _foreign(layer)]
    return [document.config.digest, *layers], []


def _is_blob(entry: Descriptor) -> bool:
    """Whether an index names a blob, as those of older BuildKit's caches do."""
    return bool(entry.media_type) and entry.media_type not in mediatypes.ACCEPTED


def _foreign(layer: Descriptor) -> bool:
    """Whether a layer is kept elsewhere by design (image-spec layer.md, "Non-Distributable")."""
    return "nondistributable" in layer.media_type or ".foreign." in layer.media_type


def _referrer(document: Manifest | Index, digest: Digest, artifact_type: str) -> bytes:
    entry = {"mediaType": document.media_type, "digest": str(digest), "size": len(document.raw)}
    if artifact_type:
        entry["artifactType"] = artifact_type
    if document.annotations:
        entry["annotations"] = dict(document.annotations)
    return fastjson.dumps(entry)
