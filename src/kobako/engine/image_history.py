"""The steps an image was made in."""

from __future__ import annotations

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.engine.engine import Engine


class HistoryStep(Record):
    """One line of `history`, newest first; `id` is "<missing>" but for the newest."""

    id: str
    created_ns: int
    created_by: str
    size: int
    comment: str


def history(engine: Engine, name: str) -> list[HistoryStep]:
    """The steps of an image, newest first, with the size of the layer each added."""
    from kobako.engine import images, unpack
    from kobako.oci.moment import parse

    image = images.find(engine, name)
    document = images.config(engine, image)
    sizes = unpack.layer_sizes(engine, images.manifest(engine, image), document)
    steps: list[HistoryStep] = []
    position = 0
    for entry in document.history:
        size = 0
        if not entry.empty_layer and position < len(sizes):
            size = sizes[position]
            position += 1
        created_ns = parse(entry.created)
        steps.append(HistoryStep("<missing>", created_ns, entry.created_by, size, entry.comment))
    steps.reverse()
    known = {len(document.history): str(image.id), **_ancestors(engine, image.row.parent)}
    return [step.replace(id=known.get(len(steps) - at, step.id)) for at, step in enumerate(steps)]


def _ancestors(engine: Engine, parent: str) -> dict[int, str]:
    """Length of its own history -> id, of the images an image was made from as far as they are
    here."""
    from kobako.oci import Digest, ImageConfig

    found: dict[int, str] = {}
    while parent:
        row = engine.store.db.images.get(parent)
        if row is None or parent in found.values():
            break
        raw = engine.store.blobs.read(Digest(row.id))
        found.setdefault(len(ImageConfig.parse(raw).history), str(row.id))
        parent = row.parent
    return found
