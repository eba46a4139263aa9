"""image from-host: a base image of this machine's programs."""

from __future__ import annotations

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.engine.engine import Engine


class HostImage(Record):
    """The image's id, and what the person should know about it."""

    image_id: str
    notes: tuple[str, ...] = ()


def from_host(
    engine: Engine,
    words: Sequence[str],
    *,
    name: str = "",
    command: Sequence[str] = (),
    env: Sequence[str] = (),
    with_ca: bool = False,
) -> HostImage:
    """Make an image of programs and what they need to run, named `name` unless that is ""."""
    from kobako.engine import image_naming, unpack
    from kobako.events import ignore
    from kobako.image.from_host.base_image import make_image
    from kobako.image.from_host.collect import collect
    from kobako.store.leases import lease

    reference = image_naming.new_name(name) if name else None
    collection = collect(
        words,
        path=engine.settings.path,
        homes=("/root", "/home", engine.settings.home),
        with_ca=with_ca,
    )
    engine.try_enter()  # before threads exist
    with lease(engine.store, "image from-host"):
        image = make_image(engine.store.blobs, collection, command=command, env=env, words=words)
        unpack.unpack(engine, image.manifest, image.config, ignore)
        size = unpack.size(engine, image.manifest, image.config)
        names = (reference,) if reference is not None else ()
        image_id = image_naming.record(engine, image.manifest, image.config, size, names)
    image_naming.tell(engine, image.config, names)
    notes = tuple(f"{path} was left out: {why}" for path, why in collection.skipped)
    return HostImage(str(image_id), notes)
