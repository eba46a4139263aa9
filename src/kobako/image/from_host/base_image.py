"""From a collection of programs to an image in the store."""

from __future__ import annotations

import time

from kobako.image import mutate
from kobako.image.from_host.collect import DEFAULT_PATH
from kobako.image.from_host.layer import newest, write_layer
from kobako.oci import mediatypes
from kobako.oci.config import History
from kobako.oci.descriptor import Descriptor
from kobako.oci.platform import Platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from kobako.image.from_host.collect import Collection
    from kobako.image.mutate import Image
    from kobako.store import ContentStore


def make_image(
    blobs: ContentStore,
    collection: Collection,
    *,
    command: Sequence[str] = (),
    env: Sequence[str] = (),
    words: Sequence[str] = (),
    epoch: int | None = None,
) -> Image:
    """Write layer, config and manifest of a collection to the store; the caller holds a lease and
    sets the reference.

    `command` is what the image runs (Python, else bash, else sh when empty), `env` are NAME=value
    pairs on top of PATH, `words` are shown in the history. All times are `epoch`, by default that
    of the newest file, so the same files and arguments give the same digests.
    """
    plan = collection.plan
    when = newest(plan) if epoch is None else epoch
    with blobs.writer() as writer:
        write_layer(plan, writer, when)
        digest = writer.commit()
    layer = Descriptor(mediatypes.OCI_LAYER, digest, blobs.size(digest))
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
    config: dict[str, Any] = {"Env": _environment(collection, env)}
    config["Cmd"] = list(command) or _default_command(collection)
    entry = History(created=created, created_by=" ".join(["image from-host", *words]))
    image = mutate.scratch(Platform.host(), created=created, config=config)
    image = mutate.append_layer(image, layer, digest, entry)
    image.write(blobs)
    return image


def _environment(collection: Collection, env: Sequence[str]) -> list[str]:
    from kobako.image.config_change import set_env

    config: dict[str, Any] = {"Env": [f"PATH={DEFAULT_PATH}"]}
    if collection.has_python:
        set_env(config, "LANG", "C.UTF-8")
    for assignment in env:
        name, _, value = assignment.partition("=")
        set_env(config, name, value)
    pairs: list[str] = config["Env"]
    return pairs


def _default_command(collection: Collection) -> list[str]:
    if collection.has_python:
        return ["python3"]
    for program in collection.programs:
        if program.endswith("/bash"):
            return ["bash"]
    return ["sh"]
