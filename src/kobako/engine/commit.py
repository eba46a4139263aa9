"""commit: a container's changes as one more layer of its image."""

from __future__ import annotations

import time

from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine
    from kobako.oci import Digest


def commit(
    engine: Engine,
    name: str,
    target: str,
    *,
    author: str = "",
    message: str = "",
    changes: Sequence[str] = (),
    pause: bool = True,
    compression: str = "gzip",
) -> Digest:
    """Make an image of a container as it is now, named `target` unless that is ""; its id.

    A running container is paused meanwhile, unless `pause` is False.
    """
    from kobako.engine import containers, images, layers
    from kobako.image import config_change, mutate
    from kobako.image.mutate import Image
    from kobako.oci import History
    from kobako.store.leases import lease

    if compression not in ("gzip", "zstd"):
        raise Invalid(f"unknown compression {compression!r}: gzip or zstd")
    reference = images.new_name(target) if target else None
    container = containers.find(engine, name)
    row = images.find(engine, container.image_id).row
    store = engine.store
    with lease(store, f"commit {container.name}"):
        base = Image.read(store.blobs, row.manifest)
        with _held_still(container, pause):
            layer = layers.commit(
                engine, container.directory, container.document["Lowers"], codec=compression
            )
        from kobako.engine.moments import rfc3339

        history = History(
            created=rfc3339(time.time_ns()),
            created_by=container.command,
            author=author,
            comment=message,
        )
        config = config_change.apply_changes(_config(container), list(changes))
        image = mutate.append_layer(base, layer.descriptor, layer.diff_id, history)
        image = mutate.with_config(image, config)
        if author:
            image = mutate.with_author(image, author)
        if message:
            image = mutate.with_comment(image, message)
        image.write(store.blobs)
        names = (reference,) if reference is not None else ()
        return images.record(
            engine,
            image.manifest,
            image.config,
            row.size + layer.diff_size,
            names,
            parent=str(row.id),
        )


_KEPT = (
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "Shell",
    "OnBuild",
)


def _config(container: Container) -> dict[str, object]:
    """The image config a container's own config amounts to, as docker commits it."""
    return {key: container.config[key] for key in _KEPT if container.config.get(key)}


class _held_still:  # noqa: N801 - read as a state: with _held_still(container, pause)
    """A running container is paused inside the block."""

    def __init__(self, container: Container, pause: bool) -> None:
        self.container = container
        self.pause = pause and container.state.status == "running"

    def __enter__(self) -> None:
        if self.pause:
            from kobako.runtime import state as control

            control.pause(self.container.state_dir)
        if self.container.document["Mode"] == "emulated" and self.container.running:
            from kobako.emulate import ownership
            from kobako.engine.bundles import control_socket

            ownership.flush(control_socket(self.container.directory))

    def __exit__(self, *fault: object) -> None:
        if self.pause:
            from kobako.runtime import state as control

            control.resume(self.container.state_dir)
