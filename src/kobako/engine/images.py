"""Images of the store: finding and reading them."""

from __future__ import annotations

from kobako.errors import Invalid, NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.engine.engine import Engine
    from kobako.oci import Digest, ImageConfig, Manifest, Reference
    from kobako.store.rows import ImageRow


class LocalImage(Record):
    """An image of the store. `id` is its config's digest, `target` what the name it was found by
    points to (a manifest or an index), `reference` that name or None when found by id."""

    row: ImageRow
    target: Digest
    reference: Reference | None = None

    @property
    def is_alone(self) -> bool:
        """Whether the name points to this image itself: there is none for another platform."""
        return self.target == self.row.manifest

    @property
    def id(self) -> Digest:
        return self.row.id


def find(engine: Engine, name: str) -> LocalImage:
    """The image a person means by a name, an id or an unambiguous beginning of one.

    `NotFound` has docker's words: No such image: name:tag.
    """
    from kobako.oci.reference import Reference

    db = engine.store.db
    hexed = name.removeprefix("sha256:")
    if len(hexed) == 64 and _is_hex(hexed):
        row = db.images.get("sha256:" + hexed)
        if row is not None:
            return LocalImage(row, row.manifest)
        named = _by_target(engine, "sha256:" + hexed)
        if named is not None:
            return named
    reference: Reference | None = None
    try:
        reference = Reference.parse(name)
    except Invalid:
        if not name.startswith("sha256:"):
            raise
    if reference is not None:
        found = _by_reference(engine, reference.with_default_tag())
        if found is not None:
            return found
    if hexed and _is_hex(hexed):
        try:
            row = db.images.find(hexed)
        except NotFound:
            pass
        else:
            return LocalImage(row, row.manifest)
    shown = reference.with_default_tag().familiar() if reference is not None else name
    raise NotFound(f"No such image: {shown}")


def _by_reference(engine: Engine, reference: Reference) -> LocalImage | None:
    db = engine.store.db
    if reference.digest is None:
        found = db.named.get(str(reference))
        return LocalImage(*found, reference) if found is not None else None
    for ref in db.refs.list():
        if ref.digest == reference.digest and repository(ref.name) == reference.name:
            row = db.images.get(ref.image)
            if row is not None:
                return LocalImage(row, ref.digest, reference)
    return None


def _by_target(engine: Engine, digest: str) -> LocalImage | None:
    """The image of a name that points to this manifest or index: what `build -q` prints of an
    index can be run."""
    db = engine.store.db
    for ref in db.refs.list():
        if ref.digest == digest:
            row = db.images.get(ref.image)
            if row is not None:
                return LocalImage(row, ref.digest)
    return None


def repository(name: str) -> str:
    """The repository of a ref's name, without tag and digest."""
    head = name.partition("@")[0]
    path, colon, tag = head.rpartition(":")
    return path if colon and "/" not in tag else head


def manifest(engine: Engine, image: LocalImage) -> Manifest:
    """The image's manifest."""
    from kobako.oci import Manifest

    return Manifest.parse(engine.store.blobs.read(image.row.manifest))


def config(engine: Engine, image: LocalImage) -> ImageConfig:
    """The image's config."""
    from kobako.oci import ImageConfig

    return ImageConfig.parse(engine.store.blobs.read(image.id))


def execution(engine: Engine, image: LocalImage) -> dict[str, Any]:
    """How the image is run: the `config` object of its config, without the rest of that."""
    from kobako import fastjson

    named = engine.store.db.named
    kept = named.document(image.id)
    if kept is not None:
        try:
            found: dict[str, Any] = fastjson.loads(kept)
            return found
        except ValueError:
            pass  # it is damaged, and is made again
    from kobako.oci.execution import of_config

    found = of_config(engine.store.blobs.read(image.id))
    named.keep_document(image.id, fastjson.dumps(found))
    return found


def _is_hex(text: str) -> bool:
    return all(c in "0123456789abcdef" for c in text)
