"""build: the solver's worker, and what surrounds it."""

from __future__ import annotations

import os
import time

from kobako.errors import Invalid
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.build.context import Context
    from kobako.build.options import BuildOptions, BuildResult, Job
    from kobako.engine.engine import Engine
    from kobako.events import OnEvent
    from kobako.oci import Digest, Reference
    from kobako.store.cache import Cache as Table


class BuildRequest(Record):
    """docker's `build` with everything read. `directory` is the context, "" for none.

    `dockerfile` is the text, `dockerfile_name` its path as the person gave it. `name` tells the
    targets of one build apart (`build.options.Job`).
    """

    directory: str
    dockerfile: str
    dockerfile_name: str = "Dockerfile"
    tags: tuple[str, ...] = ()
    build_args: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    target: str = ""
    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    pull: bool = False
    platform: str = ""
    network: str = "default"
    extra_hosts: tuple[str, ...] = ()
    shm_size: int = 64 << 20
    ulimits: tuple[str, ...] = ()
    secrets: tuple[tuple[str, bytes], ...] = ()
    context_size: bool = True
    name: str = ""


class Built(Record):
    """`names` are the familiar names the image now has."""

    image_id: str
    names: tuple[str, ...]


def build(engine: Engine, request: BuildRequest, on_event: OnEvent) -> Built:
    """Build an image from a Dockerfile and name it."""
    return build_all(engine, (request,), on_event)[0]


def build_all(
    engine: Engine, requests: tuple[BuildRequest, ...], on_event: OnEvent
) -> tuple[Built, ...]:
    """Build several targets as one graph and name each image; in the order of the requests.

    What they have in common is done once. Nothing is named before all of them are built.
    """
    from kobako.build import build_all as solve
    from kobako.engine.worker import EngineWorker
    from kobako.store.leases import lease

    names = [_names(request) for request in requests]
    contexts = _Contexts()
    with lease(engine.store, f"build {requests[0].directory}"):
        worker = EngineWorker(engine, on_event)
        try:
            jobs = tuple(contexts.job(request) for request in requests)
            results = solve(jobs, worker, StoreCache(engine), on_event)
        finally:
            contexts.close()
        return tuple(
            Built(
                str(_record(engine, worker.sizes, result, its_names)),
                tuple(name.familiar() for name in its_names),
            )
            for result, its_names in zip(results, names, strict=True)
        )


def _names(request: BuildRequest) -> tuple[Reference, ...]:
    """The names the image will have; what is wrong with a request is told before work begins."""
    from kobako.engine import images

    if request.network not in ("default", "host", "none"):
        raise Invalid(f"network {request.network} not found", hint="Use default, host or none.")
    return tuple(images.new_name(tag) for tag in request.tags)


class _Contexts:
    """The contexts of a build, each directory opened once however many targets take from it."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Context] = {}

    def job(self, request: BuildRequest) -> Job:
        from kobako.build.context import Context
        from kobako.build.options import Job

        if not request.directory:
            return Job(_options(request), None, request.name)
        name = request.dockerfile_name
        key = request.directory, name if os.path.exists(name) else ""
        if key not in self._open:
            self._open[key] = Context.open_directory(*key)
        return Job(_options(request), self._open[key], request.name)

    def close(self) -> None:
        for context in self._open.values():
            context.close()


def _options(request: BuildRequest) -> BuildOptions:
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
        no_cache_filter=request.no_cache_filter,
        pull=request.pull,
        network=request.network,
        secrets=request.secrets,
        extra_hosts=request.extra_hosts,
        shm_size=request.shm_size,
        ulimits=request.ulimits,
        context_size=request.context_size,
    )


def _record(
    engine: Engine, sizes: dict[str, int], result: BuildResult, names: tuple[Reference, ...]
) -> Digest:
    from kobako.engine import images

    blobs = engine.store.blobs
    blobs.put(result.config.raw)
    blobs.put(result.manifest.raw)
    size = 0
    for layer in result.layers:
        known = sizes.get(layer.diff_id)
        size += engine.trees.usage(layer.diff_id) if known is None else known
    row = engine.store.db.images.get(result.config.digest)
    made_ns = row.created_ns if row is not None else time.time_ns()
    return images.record(engine, result.manifest, result.config, size, names, created_ns=made_ns)


class StoreCache:
    """The store's build cache as the build wants it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def table(self) -> Table:
        return self._engine.store.db.cache

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
