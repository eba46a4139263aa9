"""The manifests and the index of a result, with their annotations.

image-spec manifest.md, image-index.md and annotations.md; one platform gives a manifest, several an
index of them; so does one of which something is attested.
"""

from __future__ import annotations

from kobako.build.attest.statement import attach
from kobako.errors import Invalid
from kobako.image.mutate import Image
from kobako.oci import Descriptor, Index, Manifest, mediatypes
from kobako.oci.platform import Platform
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.build.attest.statement import Attestation
    from kobako.build.outputs.annotation import Annotation
    from kobako.build.outputs.spec import ImageForm
    from kobako.oci import Reference


class Part(Record):
    """The image of one platform, and what is attested of it."""

    platform: Platform
    image: Image
    attestations: tuple[Attestation, ...] = ()


class Assembled(Record):
    """`target` is what a name points to, with its annotations; `images` are the parts' as they are
    written; `documents` the bytes of attestations, manifests and the index, children first."""

    target: Descriptor
    images: tuple[Image, ...]
    documents: tuple[bytes, ...]

    @property
    def is_index(self) -> bool:
        return self.target.media_type in mediatypes.INDEXES


def assemble(parts: Sequence[Part], form: ImageForm, names: Sequence[Reference] = ()) -> Assembled:
    """The documents of a result, `names` being what attestations call it; `Invalid` for
    annotations that have no place in it."""
    for annotation in form.annotations:
        if annotation.platform and annotation.platform not in [p.platform for p in parts]:
            raise Invalid(
                f"invalid annotation {annotation.key}: {annotation.platform} is not built",
                hint=f"Built are: {', '.join(str(p.platform) for p in parts)}",
            )
    images = tuple(_annotated(part, form) for part in parts)
    entries = [
        image.manifest.descriptor.replace(
            platform=part.platform,
            annotations=_pairs(form.annotations, "manifest-descriptor", part.platform),
        )
        for part, image in zip(parts, images, strict=True)
    ]
    documents = tuple(image.manifest.raw for image in images)
    if len(parts) == 1 and not parts[0].attestations:
        if any(a.of_index for a in form.annotations):
            raise Invalid("index annotations not supported for single platform export")
        return Assembled(entries[0], images, documents)
    attached = [
        attach(entry, part.platform, names, part.attestations, artifact=form.artifact is not False)
        for entry, part in zip(entries, parts, strict=True)
        if part.attestations
    ]
    documents += tuple(blob for each in attached for blob in each.blobs)
    index = Index.build(
        [*entries, *(each.entry for each in attached)],
        media_type=mediatypes.DOCKER_INDEX if form.docker_types else mediatypes.OCI_INDEX,
        annotations=_pairs(form.annotations, "index", None),
    )
    marks = _pairs(form.annotations, "index-descriptor", None)
    return Assembled(index.descriptor.replace(annotations=marks), images, (*documents, index.raw))


def _annotated(part: Part, form: ImageForm) -> Image:
    manifest = part.image.manifest
    marks = _pairs(form.annotations, "manifest", part.platform)
    family = mediatypes.DOCKER_MANIFEST if form.docker_types else mediatypes.OCI_MANIFEST
    if not marks and manifest.media_type == family:
        return part.image
    return Image.of(
        Manifest.build(
            manifest.config,
            manifest.layers,
            media_type=family,
            annotations={**dict(manifest.annotations), **dict(marks)}.items(),
        ),
        part.image.config,
    )


def _pairs(
    annotations: Sequence[Annotation], level: str, platform: Platform | None
) -> tuple[tuple[str, str], ...]:
    """The annotations of a level: those of every platform, then what is said for this one."""
    found = {a.key: a.value for a in annotations if a.level == level and a.platform is None}
    for annotation in annotations:
        if annotation.level == level and annotation.platform and platform is not None:
            if annotation.platform == platform:
                found[annotation.key] = annotation.value
        elif annotation.level == level and annotation.platform:
            found[annotation.key] = annotation.value  # of an index there is only one
    return tuple(sorted(found.items()))
