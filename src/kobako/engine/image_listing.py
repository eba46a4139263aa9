"""What `images` shows."""

from __future__ import annotations

from kobako.errors import Invalid
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine
    from kobako.oci import Digest
    from kobako.store.rows import ImageRow


class ListedImage(Record):
    """One line of `images`. `repository` and `tag` are "" where there is none; size in bytes."""

    repository: str
    tag: str
    digest: str
    id: str
    created_ns: int
    size: int


def listing(engine: Engine, pattern: str, filters: dict[str, list[str]]) -> list[ListedImage]:
    """What `images` shows, newest first: every name, and images without one as dangling."""
    from kobako.oci.reference import Reference

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
        name = Reference.parse(ref.name)
        lines.append(
            ListedImage(
                name.familiar_name, name.tag or "", ref.digest, row.id, row.created_ns, row.size
            )
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
    from kobako.engine import image_platforms, images

    found: set[Digest] = set()
    for ref in engine.store.db.refs.list():
        row = rows.get(ref.image)
        if row is not None and ref.digest != row.manifest:
            index = image_platforms.index_of(engine, images.LocalImage(row, ref.digest))
            if index is not None:
                found.update(entry.digest for entry in index.manifests)
    return found


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
            if values[-1] not in ("true", "1", "false", "0"):
                raise Invalid(f"invalid filter 'dangling={values[-1]}'", hint="true or false")
            wanted = values[-1] in ("true", "1")
            lines = [line for line in lines if (not line.repository) == wanted]
        elif name == "reference":
            lines = [line for line in lines if any(_matches(line, v) for v in values)]
        elif name == "label":
            lines = [line for line in lines if _has_labels(engine, line.id, values)]
        elif name in ("before", "since", "until"):
            from kobako.engine import images, moments

            if name == "until":
                bound = moments.bound(values[-1])
            else:
                bound = images.find(engine, values[-1]).row.created_ns
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
    from kobako.engine import labels
    from kobako.oci import Digest, ImageConfig

    raw = engine.store.blobs.read(Digest(image_id))
    found = ImageConfig.parse(raw).config.get("Labels") or {}
    return all(labels.match(found, word) for word in wanted)
