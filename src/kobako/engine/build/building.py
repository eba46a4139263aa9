"""build: the solver's worker, and what surrounds it."""

from __future__ import annotations

import os

from kobako.engine.build.access import Access
from kobako.errors import Invalid
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from kobako.build.attest.options import Attestations
    from kobako.build.cache_spec import InlineCache, LocalCache, RegistryCache
    from kobako.build.context import Context
    from kobako.build.named import NamedContext
    from kobako.build.options import BuildOptions, BuildResult, Job
    from kobako.build.outputs.spec import Output
    from kobako.engine.build.attesting import Run
    from kobako.engine.build.cache import BuildCache
    from kobako.engine.build.contexts import FetchedContext, NamedContextReader
    from kobako.engine.build.debugging import Place
    from kobako.engine.build.deliver import Delivered, PlatformResult
    from kobako.engine.build.exporting import Exporting
    from kobako.engine.build.worker import EngineWorker
    from kobako.engine.engine import Engine
    from kobako.events import OnEvent
    from kobako.oci import Digest, Platform, Reference


class BuildRequest(Record):
    """docker's `build` with everything read. `directory` is the context, "" for none; it belongs to
    `fetched` when it is a temporary one. `contexts` are the named ones, as written.

    `dockerfile` is the text, `dockerfile_name` its path as the person gave it, `dockerfile_path`
    where it lies ("": it is no file, or where its name says). `name` tells the targets of one build
    apart (`build.options.Job`). `outputs` None: an image of the store with the names `tags`; else
    what `build.outputs.choice.choose` gave. Without `platforms` this machine's is built.
    `metadata_provenance` ("min" or "max") adds provenance to the metadata.
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
    platforms: tuple[str, ...] = ()
    network: str = "default"
    extra_hosts: tuple[str, ...] = ()
    shm_size: int = 64 << 20
    ulimits: tuple[str, ...] = ()
    secrets: tuple[tuple[str, bytes], ...] = ()
    ssh: tuple[tuple[str, tuple[str, ...]], ...] = ()
    allow: tuple[str, ...] = ()
    context_size: bool = True
    explain: bool = False
    keep_failed: bool = False
    stop_at: str = ""
    name: str = ""
    dockerfile_path: str = ""
    contexts: tuple[tuple[str, str], ...] = ()
    fetched: FetchedContext | None = None
    outputs: tuple[Output, ...] | None = None
    attest: Attestations | None = None
    metadata_provenance: str = ""
    cache_from: tuple[RegistryCache | LocalCache, ...] = ()
    cache_to: tuple[RegistryCache | LocalCache | InlineCache, ...] = ()


class Built(Record):
    """`names` are the familiar names the image now has in the store; `delivered` says more where
    outputs were asked for. `image_id` is "" where none of them is an image."""

    image_id: str
    names: tuple[str, ...]
    delivered: Delivered | None = None


def build(
    engine: Engine, request: BuildRequest, on_event: OnEvent, *, stdout: BinaryIO | None = None
) -> Built:
    """Build an image from a Dockerfile and name it, or make what outputs were asked for."""
    return build_all(engine, (request,), on_event, stdout=stdout)[0]


def build_all(
    engine: Engine,
    requests: tuple[BuildRequest, ...],
    on_event: OnEvent,
    *,
    stdout: BinaryIO | None = None,
) -> tuple[Built, ...]:
    """Build several targets as one graph and name each image; in the order of the requests.

    What they have in common is done once. Nothing is named before all of them are built. `stdout`
    takes the output that goes to "-".
    """
    from kobako.engine import sweep
    from kobako.engine.build.worker import EngineWorker
    from kobako.store.leases import lease

    sweep.leftovers(engine)
    targets = [_Target(request) for request in requests]
    access = Access.of(requests[0].secrets, requests[0].ssh)
    contexts = _Contexts(engine, access)
    exporting = run = caching = None
    moves_caches = any(request.cache_from or request.cache_to for request in requests)
    if moves_caches or any(target.outputs is not None for target in targets):
        from kobako.engine.build import attesting
        from kobako.engine.build.exporting import Exporting

        run = attesting.begin()
        exporting = Exporting(on_event)
        on_event = exporting.event
    with lease(engine.store, f"build {requests[0].directory}"):
        worker = EngineWorker(engine, on_event, access)
        if moves_caches and exporting is not None:
            from kobako.engine.build.cache import BuildCache

            caching = BuildCache(worker, requests, exporting)
        worker.keep_failed = any(request.keep_failed for request in requests)
        try:
            jobs = tuple(
                contexts.job(target.request, platform)
                for target in targets
                for platform in target.platforms
            )
            results = _solved(jobs, targets, worker, caching, on_event)
        finally:
            worker.settle()
            contexts.close()
        pairs = iter(zip(jobs, results, strict=True))
        built = []
        for target in targets:
            its_own = [next(pairs) for _ in target.platforms]
            if target.outputs is None or exporting is None or run is None:
                image_id = _record(engine, worker.sizes, its_own[0][1], target.names)
                built.append(Built(str(image_id), tuple(n.familiar() for n in target.names)))
            else:
                built.append(_deliver(engine, worker, target, its_own, exporting, run, stdout))
        if caching is not None:
            caching.export(results)
        return tuple(built)


def _solved(
    jobs: tuple[Job, ...],
    targets: list[_Target],
    worker: EngineWorker,
    caching: BuildCache | None,
    on_event: OnEvent,
) -> tuple[BuildResult, ...]:
    """A result for each job: of each target its platforms, in their order."""
    from kobako.build import build_all as solve
    from kobako.engine.store_cache import StoreCache

    if caching is None:
        return solve(jobs, worker, StoreCache(worker.engine), on_event)
    results = caching.solve(lambda cache, told: solve(jobs, worker, cache, told))
    asked = [target.request for target in targets for _ in target.platforms]
    return tuple(map(caching.inlined, asked, results))


def build_up_to(engine: Engine, request: BuildRequest, on_event: OnEvent) -> Place:
    """Build as far as the request's `stop_at`, naming nothing; where a shell is to be opened."""
    from kobako.build import build_all as solve
    from kobako.build.halt import state_after
    from kobako.engine.build.debugging import Place
    from kobako.engine.build.worker import EngineWorker
    from kobako.engine.store_cache import StoreCache
    from kobako.store.leases import lease

    target = _Target(request)
    access = Access.of(request.secrets, request.ssh)
    contexts = _Contexts(engine, access)
    with lease(engine.store, f"build {request.directory}"):
        worker = EngineWorker(engine, on_event, access)
        worker.keep_failed = request.keep_failed
        try:
            job = contexts.job(request, target.platforms[0])
            (result,) = solve((job,), worker, StoreCache(engine), on_event)
        finally:
            worker.settle()
            contexts.close()
    assert result.plan is not None
    return Place(state_after(result.plan.target, result.layers, job.options))


class _Target:
    """A request taken apart; what is wrong with it is told before work begins."""

    def __init__(self, request: BuildRequest) -> None:
        from kobako.engine import image_naming
        from kobako.oci import Platform

        if request.network not in ("default", "host", "none"):
            raise Invalid(f"network {request.network} not found", hint="Use default, host or none.")
        self.request = request
        self.names = tuple(image_naming.new_name(tag) for tag in request.tags)
        given = [Platform.parse(text) for text in request.platforms]
        self.platforms: tuple[Platform | None, ...] = tuple(dict.fromkeys(given)) or (None,)
        self.outputs = request.outputs
        if self.outputs is None and (len(self.platforms) > 1 or request.attest):
            from kobako.build.outputs.choice import choose

            self.outputs = choose((), tags=request.tags)
        if self.outputs is not None:
            from kobako.engine.build.deliver import check

            check(self.outputs, len(self.platforms), attested=bool(request.attest))
            from kobako.engine.build.destinations import check_outputs

            check_outputs(self.outputs)


def _deliver(
    engine: Engine,
    worker: EngineWorker,
    target: _Target,
    results: list[tuple[Job, BuildResult]],
    exporting: Exporting,
    run: Run,
    stdout: BinaryIO | None,
) -> Built:
    """The outputs of a target."""
    from kobako.engine.build.attesting import Origin
    from kobako.engine.build.deliver import PlatformResult, deliver

    assert target.outputs is not None
    fetched = target.request.fetched
    remote = fetched.remote if fetched is not None else None
    origin = Origin(bool(target.request.directory) and remote is None, remote)
    attest = target.request.attest
    told = attest is not None and attest.provenance is not None
    if origin.local and (told or target.request.metadata_provenance):
        from kobako.engine.build import vcs

        request = target.request
        facts = vcs.facts(engine, request.directory, request.dockerfile_path)
        origin = origin.replace(vcs=facts)
    parts = [
        PlatformResult(job.options.platform or result.config.platform, job.options, result, origin)
        for job, result in results
    ]
    done = deliver(
        engine,
        parts,
        target.outputs,
        exporting,
        lambda result: _size(engine, worker.sizes, result),
        stdout,
        target.request.attest,
        run,
    )
    if target.request.metadata_provenance:
        found = _provenance(parts, target.request.metadata_provenance, run)
        done = done.replace(metadata={**done.metadata, **found})
    return Built(done.image_id, done.names, done)


def _provenance(parts: list[PlatformResult], mode: str, run: Run) -> dict[str, Any]:
    """`buildx.build.provenance` of --metadata-file, of each platform where there are several."""
    from kobako.build.attest.options import Provenance
    from kobako.engine.build.attesting import provenance

    key = "buildx.build.provenance"
    found = {}
    for part in parts:
        wanted = Provenance(mode=mode, version="v0.2")
        told = provenance(wanted, part.options, part.result, part.origin, run).predicate
        if mode == "min":
            del told["metadata"]
        found[f"{key}/{part.platform}" if len(parts) > 1 else key] = told
    return found


class _Contexts:
    """The contexts of a build, each directory opened once however many targets take from it."""

    def __init__(self, engine: Engine, access: Access) -> None:
        self._engine = engine
        self._access = access
        self._open: dict[tuple[str, str], Context] = {}
        self._fetched: list[FetchedContext] = []
        self._reader: NamedContextReader | None = None

    def job(self, request: BuildRequest, platform: Platform | None) -> Job:
        from kobako.build.context import Context
        from kobako.build.options import Job

        options = _options(request, platform)
        job_name = request.name
        if len(request.platforms) > 1:
            job_name = f"{request.name} {platform}".lstrip()
        named = tuple((name, self._named(name, text)) for name, text in request.contexts)
        if not request.directory:
            return Job(options, None, job_name, named)
        name = request.dockerfile_path or request.dockerfile_name
        key = request.directory, name if os.path.exists(name) else ""
        if key not in self._open:
            if request.fetched is not None:
                self._fetched.append(request.fetched)
                fetched = request.fetched
                origin = _origin(fetched)
                self._open[key] = Context.open_fetched(
                    request.directory, fetched.owners, origin, fetched.time
                )
                self._open[key].remote = fetched.remote
            else:
                self._open[key] = Context.open_directory(*key)
        return Job(options, self._open[key], job_name, named)

    def _named(self, name: str, text: str) -> NamedContext:
        if self._reader is None:
            from kobako.engine.build.contexts import NamedContextReader

            self._reader = NamedContextReader(self._engine, self._access)
        return self._reader.read(name, text)

    def close(self) -> None:
        for context in self._open.values():
            context.close()
        for fetched in self._fetched:
            fetched.discard()
        if self._reader is not None:
            self._reader.close()


def _origin(fetched: FetchedContext) -> str:
    """What progress calls the place a context was fetched from."""
    from kobako.build.sources import GitSource, uri

    if fetched.remote is not None and isinstance(fetched.remote.source, GitSource):
        return f"git source {uri(fetched.remote.source)}"
    return "remote build context"


def _options(request: BuildRequest, platform: Platform | None) -> BuildOptions:
    from kobako.build.options import BuildOptions

    return BuildOptions(
        dockerfile=request.dockerfile,
        dockerfile_name=request.dockerfile_name,
        target=request.target,
        build_args=request.build_args,
        labels=request.labels,
        platform=platform,
        no_cache=request.no_cache,
        no_cache_filter=request.no_cache_filter,
        pull=request.pull,
        network=request.network,
        secrets=request.secrets,
        ssh=request.ssh,
        allow=request.allow,
        extra_hosts=request.extra_hosts,
        shm_size=request.shm_size,
        ulimits=request.ulimits,
        context_size=request.context_size,
        explain=request.explain,
        stop_at=request.stop_at,
    )


def _record(
    engine: Engine, sizes: dict[str, int], result: BuildResult, names: tuple[Reference, ...]
) -> Digest:
    from time import time_ns

    from kobako.engine import image_naming

    blobs = engine.store.blobs
    blobs.put_all(result.config.raw, result.manifest.raw)
    known = engine.store.db.images.get(result.config.digest)
    # Of an image that has been built before nobody need enter to look at its trees.
    size = _size(engine, sizes, result) if known is None else known.size
    made_ns = time_ns() if known is None else known.created_ns
    image_id = image_naming.record(
        engine, result.manifest, result.config, size, names, created_ns=made_ns
    )
    image_naming.tell(engine, result.config, names)
    return image_id


def _size(engine: Engine, sizes: dict[str, int], result: BuildResult) -> int:
    """The sum of a result's unpacked layers in bytes."""
    size = 0
    for layer in result.layers:
        known = sizes.get(layer.diff_id)
        size += engine.trees.usage(layer.diff_id) if known is None else known
    return size
