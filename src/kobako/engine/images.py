"""Images of the store: finding, listing, naming and removing them."""

from __future__ import annotations

from kobako.errors import Invalid, NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine
    from kobako.oci import Digest, ImageConfig, Index, Manifest, Reference
    from kobako.store.rows import ImageRow


class LocalImage(Record):
    """An image of the store. `id` is its config's digest, `target` what the name it was found by
    points to (a manifest or an index), `reference` that name or None when found by id."""

    row: ImageRow
    target: Digest
    reference: Reference | None = None

    @property
    def id(self) -> Digest:
        return self.row.id


class ListedImage(Record):
    """One line of `images`. `repository` and `tag` are "" where there is none; size in bytes."""

    repository: str
    tag: str
    digest: str
    id: str
    created_ns: int
    size: int
    labels: tuple[tuple[str, str], ...] = ()


class HistoryStep(Record):
    """One line of `history`, newest first; `id` is "<missing>" but for the newest."""

    id: str
    created_ns: int
    created_by: str
    size: int
    comment: str
    tags: tuple[str, ...] = ()


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
        row = db.images.of_reference(str(reference))
        if row is None:
            return None
        target = db.refs.get(str(reference)) or row.manifest
        return LocalImage(row, target, reference)
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


def serves(engine: Engine, image: LocalImage, platform: str) -> bool:
    """Whether the image is of the platform asked for."""
    from kobako.oci import Platform

    return config(engine, image).platform.matches(Platform.parse(platform))


def for_platform(engine: Engine, image: LocalImage, platform: str) -> LocalImage | None:
    """The image for a platform of what a name points to, an index maybe; None when it is not
    here. What of an index is first asked for is unpacked and made known."""
    index = index_of(engine, image)
    if index is not None:
        from kobako.oci import Platform

        try:
            chosen = index.select(Platform.parse(platform)).digest
        except NotFound:
            return None
        if chosen == image.row.manifest:
            return image
        found = _child(engine, image, chosen)
        if found is not None:
            return found
    return image if serves(engine, image, platform) else None


def index_of(engine: Engine, image: LocalImage) -> Index | None:
    """The index a name points to; None when it is a manifest."""
    if image.target == image.row.manifest:
        return None
    from kobako.oci import Index, parse_manifest_or_index

    found = parse_manifest_or_index(engine.store.blobs.read(image.target))
    return found if isinstance(found, Index) else None


def _child(engine: Engine, image: LocalImage, digest: Digest) -> LocalImage | None:
    """The image of a manifest of an index, when all of it is here."""
    from kobako.engine import unpack
    from kobako.events import ignore
    from kobako.image.mutate import Image
    from kobako.store.closure import missing

    store = engine.store
    if not store.blobs.exists(digest) or missing(store.blobs, digest):
        return None
    try:
        child = Image.read(store.blobs, digest)
    except Invalid:
        return None  # an index within the index
    row = store.db.images.get(child.id)
    if row is None or row.manifest != digest:
        unpack.unpack(engine, child.manifest, child.config, ignore)
        record(engine, child.manifest, child.config, unpack.size(engine, child.config))
        row = store.db.images.get(child.id)
        if row is None:
            return None
    return LocalImage(row, image.target, image.reference)


def portable(engine: Engine, image: LocalImage) -> Digest:
    """What of a name can leave this store: its index if every image of it is here, else the
    manifest of the image it means on this machine."""
    index = index_of(engine, image)
    if index is None:
        return image.target
    from kobako.store.closure import missing

    blobs = engine.store.blobs
    for entry in index.manifests:
        if not blobs.exists(entry.digest) or missing(blobs, entry.digest):
            return image.row.manifest
    return image.target


def record(
    engine: Engine,
    manifest: Manifest,
    config: ImageConfig,
    size: int,
    names: tuple[Reference, ...] = (),
    target: Digest | None = None,
    parent: str = "",
    created_ns: int | None = None,
) -> Digest:
    """Make an image known whose blobs are all in the store, under `names`; returns its id.

    `target` is what the names point to, when it is not the manifest itself (an index). `created_ns`
    is when it was made, for listings, where its config tells another time on purpose.
    """
    from kobako.engine import moments
    from kobako.store.rows import ImageRow

    db = engine.store.db
    row = ImageRow(
        id=config.digest,
        manifest=manifest.digest,
        created_ns=moments.created_ns(config) if created_ns is None else created_ns,
        size=size,
        parent=parent,
        platform=str(config.platform),
        diff_ids=config.diff_ids,
    )
    with db.transaction():
        db.images.add(row)
        for name in names:
            db.refs.set(str(name.with_default_tag()), target or manifest.digest, row.id)
    return row.id


def made_ns(engine: Engine, config: ImageConfig) -> int:
    """When an image that was just built was first made here: its config tells the epoch."""
    from time import time_ns

    row = engine.store.db.images.get(config.digest)
    return row.created_ns if row is not None else time_ns()


def listing(engine: Engine, pattern: str, filters: dict[str, list[str]]) -> list[ListedImage]:
    """What `images` shows, newest first: every name, and images without one as dangling."""
    db = engine.store.db
    rows = {str(row.id): row for row in db.images.list()}
    parents = {row.parent for row in rows.values()}
    lines: list[ListedImage] = []
    named: set[str] = set()
    for ref in db.refs.list():
        row = rows.get(ref.image)
        if row is None:
            continue
        named.add(ref.image)
        repository, tag, _ = _parts(ref.name)
        lines.append(
            ListedImage(repository, tag, str(ref.digest), row.id, row.created_ns, row.size)
        )
    unnamed = [row for key, row in rows.items() if key not in named and key not in parents]
    siblings = _in_named_indexes(engine, rows) if unnamed else set()
    for row in unnamed:
        if row.manifest not in siblings:
            lines.append(ListedImage("", "", "", row.id, row.created_ns, row.size))
    if pattern:
        lines = [line for line in lines if _matches(line, pattern)]
    lines = _filtered(engine, lines, filters)
    return sorted(lines, key=lambda i: (-i.created_ns, i.repository, i.tag))


def _in_named_indexes(engine: Engine, rows: dict[str, ImageRow]) -> set[Digest]:
    """The manifests of indexes that have a name: images for other platforms are no lines of
    their own."""
    found: set[Digest] = set()
    for ref in engine.store.db.refs.list():
        row = rows.get(ref.image)
        if row is not None and ref.digest != row.manifest:
            index = index_of(engine, LocalImage(row, ref.digest))
            if index is not None:
                found.update(entry.digest for entry in index.manifests)
    return found


def tag(engine: Engine, source: str, target: str) -> None:
    """Give an image one more name; an image that had the name keeps its others."""
    image = find(engine, source)
    reference = new_name(target)
    engine.store.db.refs.set(str(reference), image.target, image.id)


def new_name(text: str) -> Reference:
    """A name an image may be given: with the default tag, without a digest."""
    from kobako.oci.reference import Reference

    try:
        reference = Reference.parse(text)
    except Invalid as fault:
        raise Invalid(
            f'Error parsing reference: "{text}" is not a valid repository/tag: {fault}'
        ) from None
    if reference.digest is not None:
        raise Invalid(f"refusing to create a tag with a digest reference: {text}")
    return reference.with_default_tag()


def history(engine: Engine, name: str) -> list[HistoryStep]:
    """The steps of an image, newest first, with the size of the layer each added."""
    from kobako.engine import unpack
    from kobako.oci.moment import parse

    image = find(engine, name)
    document = config(engine, image)
    sizes = unpack.layer_sizes(engine, manifest(engine, image), document)
    steps: list[HistoryStep] = []
    position = 0
    for entry in document.history:
        size = 0
        if not entry.empty_layer and position < len(sizes):
            size = sizes[position]
            position += 1
        steps.append(
            HistoryStep(
                "<missing>",
                parse(entry.created),
                entry.created_by,
                size,
                entry.comment,
            )
        )
    steps.reverse()
    if steps:
        steps[0] = steps[0].replace(id=str(image.id))
    return steps


def _parts(name: str) -> tuple[str, str, str]:
    """(familiar repository, tag, digest) of a ref's name."""
    from kobako.oci.reference import Reference

    reference = Reference.parse(name)
    return reference.familiar_name, reference.tag or "", str(reference.digest or "")


def shown(name: str) -> str:
    from kobako.oci.reference import Reference

    return Reference.parse(name).familiar()


def _matches(line: ListedImage, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    repository, _, tag = pattern.rpartition(":") if _tagged(pattern) else (pattern, "", "")
    pattern_name = repository.removeprefix("docker.io/").removeprefix("library/")
    return fnmatchcase(line.repository, pattern_name) and (not tag or fnmatchcase(line.tag, tag))


def _tagged(pattern: str) -> bool:
    return ":" in pattern.rpartition("/")[2]


def _filtered(
    engine: Engine, lines: list[ListedImage], filters: dict[str, list[str]]
) -> list[ListedImage]:
    for name, values in filters.items():
        if name == "dangling":
            wanted = values[-1] in ("true", "1")
            lines = [line for line in lines if (not line.repository) == wanted]
        elif name == "reference":
            lines = [line for line in lines if any(_matches(line, v) for v in values)]
        elif name == "label":
            lines = [line for line in lines if _has_labels(engine, line.id, values)]
        elif name in ("before", "since", "until"):
            from kobako.engine import moments

            if name == "until":
                bound = moments.bound(values[-1])
            else:
                bound = find(engine, values[-1]).row.created_ns
            lines = [
                line
                for line in lines
                if (line.created_ns > bound if name == "since" else line.created_ns < bound)
            ]
        else:
            raise Invalid(
                f"invalid filter '{name}'",
                hint="Known: dangling, label, before, since, until, reference",
            )
    return lines


def _has_labels(engine: Engine, image_id: str, wanted: list[str]) -> bool:
    from kobako.oci import Digest, ImageConfig

    raw = engine.store.blobs.read(Digest(image_id))
    found = ImageConfig.parse(raw).config.get("Labels") or {}
    for word in wanted:
        key, equals, value = word.partition("=")
        if key not in found or (equals and found[key] != value):
            return False
    return True


def _is_hex(text: str) -> bool:
    return all(c in "0123456789abcdef" for c in text)
