"""Media types of manifests, configs and layers: OCI's and Docker schema 2's, and which pair up.

image-spec media-types.md; distribution's manifest-v2-2.md.
"""

from __future__ import annotations

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN_LAYER_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEXES = (OCI_INDEX, DOCKER_INDEX)
SCHEMA1 = (DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED)
ACCEPTED = (*MANIFESTS, *INDEXES)
"""What a client asks a registry for (the Accept header)."""

_OCI_NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar"
_OCI_NONDISTRIBUTABLE_GZIP = _OCI_NONDISTRIBUTABLE + "+gzip"

_TO_DOCKER = {
    OCI_MANIFEST: DOCKER_MANIFEST,
    OCI_INDEX: DOCKER_INDEX,
    OCI_CONFIG: DOCKER_CONFIG,
    OCI_LAYER: DOCKER_LAYER,
    OCI_LAYER_GZIP: DOCKER_LAYER_GZIP,
    _OCI_NONDISTRIBUTABLE_GZIP: DOCKER_FOREIGN_LAYER_GZIP,
}
_TO_OCI = {docker: oci for oci, docker in _TO_DOCKER.items()}
_COMPRESSION = {
    OCI_LAYER: "",
    OCI_LAYER_GZIP: "gzip",
    OCI_LAYER_ZSTD: "zstd",
    DOCKER_LAYER: "",
    DOCKER_LAYER_GZIP: "gzip",
    DOCKER_FOREIGN_LAYER_GZIP: "gzip",
    _OCI_NONDISTRIBUTABLE: "",
    _OCI_NONDISTRIBUTABLE_GZIP: "gzip",
    _OCI_NONDISTRIBUTABLE + "+zstd": "zstd",
}


def is_docker(media_type: str) -> bool:
    """Whether a media type is of Docker's family."""
    return media_type.startswith("application/vnd.docker.")


def is_layer(media_type: str) -> bool:
    """Whether a media type is a filesystem layer we know how to unpack."""
    return media_type in _COMPRESSION


def compression(layer_type: str) -> str | None:
    """ "gzip", "zstd" or "" of a known layer type; None for other types (go by the bytes then)."""
    return _COMPRESSION.get(layer_type)


def oci_layer(codec: str) -> str:
    """The OCI layer type for a codec name: "gzip", "zstd", or "" or "plain" for none."""
    return {"gzip": OCI_LAYER_GZIP, "zstd": OCI_LAYER_ZSTD}.get(codec, OCI_LAYER)


def counterpart(media_type: str, family: str) -> str | None:
    """The type with the same meaning in the family of the media type `family`.

    A type that belongs to neither family is its own counterpart. None where the family has no
    such type: Docker's knows no zstd layers.
    """
    if is_docker(family):
        if media_type == OCI_LAYER_ZSTD or media_type.startswith(_OCI_NONDISTRIBUTABLE):
            return _TO_DOCKER.get(media_type)
        return _TO_DOCKER.get(media_type, media_type)
    return _TO_OCI.get(media_type, media_type)
