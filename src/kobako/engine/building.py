"""build: the solver's worker, and what surrounds it."""

from __future__ import annotations

import os
import time

from kobako.errors import Invalid
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.build.options import BuildResult
    from kobako.engine.engine import Engine
    from kobako.events import OnEvent
    from kobako.oci import Digest


class BuildRequest(Record):
    """docker's `build` with everything read. `directory` is the context, "" for none.

    `dockerfile` is the text, `dockerfile_name` its path as the person gave it.
    """

    directory: str
    dockerfile: str
    dockerfile_name: str = "Dockerfile"
    tags: tuple[str, ...] = ()
    build_args: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    target: str = ""
    no_cache: bool = False
    pull: bool = False
    platform: str = ""
    network: str = "default"
    extra_hosts: tuple[str, ...] = ()
    shm_size: int = 64 << 20
    ulimits: tuple[str, ...] = ()
    secrets: tuple[tuple[str, bytes], ...] = ()
    epoch: int | None = None
    context_size: bool = True


class Built(Record):
    """`names` are the familiar names the image now has."""

    image_id: str
    names: tuple[str, ...]


def build(engine: Engine, request: BuildRequest, on_event: OnEvent) -> Built:
    """Build an image from a Dockerfile and name it."""
    from kobako.build.assemble import build as solve
    from kobako.engine import images
    from kobako.engine.worker import EngineWorker
    from kobako.store.leases import lease

    names = tuple(images.new_name(tag) for tag in request.tags)
    if request.network not in ("default", "host", "none"):
        raise Invalid(f"network {request.network} not found", hint="Use default, host or none.")
    with lease(engine.store, f"build {request.directory}"):
        worker = EngineWorker(engine, on_event)
        result = solve(
            _options(request),
            _context(request),
            worker,
            StoreCache(engine),
            on_event,
        )
        image_id = _record(engine, worker.sizes, result, names)
    return Built(str(image_id), tuple(n.familiar() for n in names))


def _options(request: BuildRequest) -> Any:
    from kobako.build.options import BuildOptions
    from kobako.oci import Platform

    return BuildOptions(
        dockerfile=request.dockerfile,
        dockerfile_name=request.dockerfile_name,
        target=request.target,
        build_args=request.build_args,
        labels=request.labels,
        platform=Platform.parse(request.platform) if request.platform else None,
        no_cache=request.no_cache,
        pull=request.pull,
        network=request.network,
        parallelism=1,
        epoch=request.epoch,
        secrets=request.secrets,
        extra_hosts=request.extra_hosts,
        shm_size=request.shm_size,
        ulimits=request.ulimits,
        context_size=request.context_size,
    )


def _context(request: BuildRequest) -> Any:
    from kobako.build.context import Context

    if not request.directory:
        return None
    name = request.dockerfile_name
    return Context.open_directory(request.directory, name if os.path.exists(name) else "")


def _record(
    engine: Engine, sizes: dict[str, int], result: BuildResult, names: tuple[Any, ...]
) -> Digest:
    from kobako.engine import images

    blobs = engine.store.blobs
    blobs.put(result.config.raw)
    blobs.put(result.manifest.raw)
    size = 0
    for layer in result.layers:
        known = sizes.get(layer.diff_id)
        size += engine.trees.usage(layer.diff_id) if known is None else known
    return images.record(engine, result.manifest, result.config, size, names)


class StoreCache:
    """The store's build cache as the build wants it."""

    def __init__(self, engine: Engine) -> None:
        self.table = engine.store.db.cache

    def get(self, key: str) -> dict[str, Any] | None:
        from kobako.fastjson import loads

        row = self.table.get(key)
        if row is None:
            return None
        if time.time_ns() - row.used_ns > 60_000_000_000:
            self.table.touch([key])  # once a minute is enough to know what is in use
        found: dict[str, Any] = loads(row.value)
        return found

    def put(self, key: str, value: dict[str, Any]) -> None:
        from kobako.fastjson import dumps
        from kobako.store.rows import CacheRow

        self.table.put(CacheRow(key, dumps(value), kind=str(value.get("kind", ""))))
