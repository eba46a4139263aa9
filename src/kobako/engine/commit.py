"""commit: a container's changes as one more layer of its image."""

from __future__ import annotations

import os
import time

from kobako.errors import Conflict, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from kobako.engine.containers import Container
    from kobako.engine.engine import Engine
    from kobako.engine.layers import NewLayer
    from kobako.image.mutate import Image
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
    from kobako.engine import containers, image_naming, images, layers
    from kobako.image.mutate import Image
    from kobako.store.leases import lease

    if compression not in ("gzip", "zstd"):
        raise Invalid(f"unknown compression {compression!r}: gzip or zstd")
    reference = image_naming.new_name(target) if target else None
    container = containers.find(engine, name)
    row = images.find(engine, container.image_id).row
    store = engine.store
    with lease(store, f"commit {container.name}"):
        base = Image.read(store.blobs, row.manifest)
        with _held_still(container, pause):
            layer = layers.commit(
                engine,
                container.directory,
                container.document["Lowers"],
                codec=compression,
                moving=container.running and not pause,
            )
        image = _made_of(container, base, layer, author, message, changes)
        image.write(store.blobs)
        names = (reference,) if reference is not None else ()
        image_id = image_naming.record(
            engine,
            image.manifest,
            image.config,
            row.size + layer.diff_size,
            names,
            parent=str(row.id),
        )
    image_naming.tell(engine, image.config, names)
    _tell(engine, container, message, image_id, names[0].familiar() if names else "")
    return image_id


def _tell(engine: Engine, container: Container, comment: str, image: str, name: str) -> None:
    from kobako.store import event_log

    about = event_log.of_container(
        container.id, container.name, container.image_ref, container.document
    )
    line = event_log.line(
        "container", "commit", about, comment=comment, imageID=image, imageRef=name
    )
    event_log.append(engine.settings.root, line)


def _made_of(
    container: Container,
    base: Image,
    layer: NewLayer,
    author: str,
    message: str,
    changes: Sequence[str],
) -> Image:
    """`base` with the layer on top and the container's config, `changes` applied to it."""
    from kobako.engine.moments import rfc3339
    from kobako.image import mutate
    from kobako.oci import History

    history = History(
        created=rfc3339(time.time_ns()),
        created_by=container.command,
        author=author,
        comment=message,
    )
    config = _config(container)
    if changes:
        from kobako.image import config_change

        config = config_change.apply_changes(config, changes)
    image = mutate.append_layer(base, layer.descriptor, layer.diff_id, history)
    image = mutate.with_config(image, config)
    if author:
        image = mutate.with_author(image, author)
    return mutate.with_comment(image, message) if message else image


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
    """A running container is paused inside the block.

    A process of its own does it: it stays outside the user namespace that a commit enters, where
    signals for the container are not permitted, and lets the container go on even if the commit
    is killed meanwhile.
    """

    def __init__(self, container: Container, pause: bool) -> None:
        self.container = container
        self.pause = pause and container.state.status == "running"
        self.pid = 0
        self.end = -1

    def __enter__(self) -> None:
        if self.pause:
            self._begin()
        if self.container.document["Mode"] == "emulated" and self.container.running:
            from kobako.emulate import ownership
            from kobako.engine.bundles import control_socket

            try:
                ownership.flush(control_socket(self.container.directory))
            except BaseException:
                self.__exit__()
                raise

    def _begin(self) -> None:
        from kobako.linux import fork, process

        process.require_single_thread("pause a container")
        ended, self.end = os.pipe()
        answer, answer_w = os.pipe()
        self.pid = fork.fork_helper()
        if self.pid == 0:
            process.close_all_but({2, ended, answer_w})
            _pause_until(self.container.state_dir, ended, answer_w)
        os.close(ended)
        os.close(answer_w)
        with open(answer, "rb") as file:
            fault = file.read().decode()
        if fault:
            self.__exit__()
            raise Conflict(fault)

    def __exit__(self, *fault: object) -> None:
        if self.pid:
            os.close(self.end)
            os.waitpid(self.pid, 0)
            self.pid = 0


def _pause_until(state_dir: str, ended: int, answer: int) -> NoReturn:
    """Pause, say so by closing `answer` (or what is wrong), wait for the end of `ended`, resume."""
    import signal

    from kobako.runtime import control

    try:
        os.setsid()  # an interrupt from the keyboard is for the commit alone
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            control.pause(state_dir)
        except Exception as fault:
            os.write(answer, (str(fault) or type(fault).__name__).encode()[:4000])
        os.close(answer)
        os.read(ended, 1)
        control.resume(state_dir)
    finally:
        os._exit(0)
