"""--cache-from and --cache-to: results of builds of other machines, and for them.

Imported records are looked up where the store's own cache knows nothing. A layer is fetched only
when something is made of it or when it is part of the result. A cache nobody can read, or one whose
layers are not what it says, is ignored with a warning: what had come of it is then done here.
"""

from __future__ import annotations

from kobako.build import cache_records, progress
from kobako.build.cache_records import CacheLayer, CacheRecord
from kobako.build.cache_spec import InlineCache, RegistryCache
from kobako.engine.build.cache_places import LocalPlace, RegistryPlace
from kobako.engine.store_cache import StoreCache
from kobako.errors import KobakoError
from kobako.fastjson import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from kobako.build.cache import Cache
    from kobako.build.cache_spec import LocalCache
    from kobako.build.options import BuildResult
    from kobako.build.worker import LayerRef
    from kobako.engine.build.building import BuildRequest
    from kobako.engine.build.cache_places import Place
    from kobako.engine.build.exporting import Exporting
    from kobako.engine.build.worker import EngineWorker
    from kobako.events import Event, OnEvent
    from kobako.oci import Descriptor

    Solve = Callable[[Cache, OnEvent], tuple[BuildResult, ...]]


_LEAD = "the imported cache "
_VERTEX_EVENTS = (progress.VertexStarted, progress.VertexOutput, progress.VertexDone)


class Unusable(KobakoError):
    """A layer an imported record promised cannot be had; `digest` is its blob's."""

    def __init__(self, message: str, digest: str = "") -> None:
        super().__init__(message)
        self.digest = digest


class _Offer:
    """A layer that some imported cache has, or at least names."""

    def __init__(self, place: Place, layer: CacheLayer) -> None:
        self.place = place
        self.layer = layer


class BuildCache:
    """The cache of one build: the store's, behind it what was imported, and what is exported."""

    def __init__(
        self, worker: EngineWorker, requests: Sequence[BuildRequest], exporting: Exporting
    ) -> None:
        self._engine = worker.engine
        self._worker = worker
        self._exporting = exporting
        self._store = StoreCache(worker.engine)
        self._sources = _unique(one for r in requests for one in r.cache_from)
        self._targets = _unique(one for r in requests for one in r.cache_to)
        self._rows: dict[str, tuple[CacheRecord, Place]] = {}
        self._offers: dict[str, _Offer] = {}
        self._seen: dict[str, CacheRecord] = {}
        self._first: set[str] = set()
        self._latest: dict[str, Any] | None = None
        self._passed = 0
        self._under_way: dict[int, progress.VertexStarted] = {}

    # What the build sees

    def get(self, key: str) -> dict[str, Any] | None:
        own = self._store.get(key)
        record = cache_records.record_of(key, own) if own is not None else None
        imported = self._rows.get(key)
        if own is not None and (imported is None or record is None or self._is_here(record)):
            self._note(record)
            return own
        if imported is None:
            return None
        self._note(imported[0])
        return imported[0].document()

    def put(self, key: str, value: dict[str, Any]) -> None:
        """A result is kept under its keys in a row, the cheapest first."""
        self._store.put(key, value)
        self._note(cache_records.record_of(key, value))
        if value is self._latest:
            self._first.discard(key)
        self._latest = value

    def offers(self, layer: LayerRef) -> bool:
        """Whether an imported cache has or names a layer: see `Worker.has_layer`."""
        return layer.descriptor.digest in self._offers

    def unpack(self, layer: LayerRef) -> bool:
        """Unpacks a layer that an imported cache offers, fetched where the store lacks it; False
        when none does. Raises `Unusable`."""
        from kobako.engine import unpack

        offer = self._offers.get(layer.descriptor.digest)
        if offer is None:
            return False
        digest = layer.descriptor.digest
        try:
            if not self._engine.store.blobs.exists(digest):
                if not offer.layer.here:
                    raise Unusable(f"{_LEAD}only names the layer {digest}", digest)
                offer.place.fetch(layer.descriptor)
            unpack.unpack_one(self._engine, layer.diff_id, layer.descriptor)
        except Unusable:
            raise
        except KobakoError as fault:
            raise Unusable(f"{_LEAD}has no good layer {digest}: {fault.message}", digest) from fault
        return True

    def _is_here(self, record: CacheRecord) -> bool:
        layer = record.layer
        return layer is None or self._engine.store.blobs.exists(layer.blob.digest)

    def _note(self, record: CacheRecord | None) -> None:
        if record is not None:
            self._seen[record.key] = record
            self._first.add(record.key)

    # The build

    def solve(self, solve: Solve) -> tuple[BuildResult, ...]:
        """Builds with what was imported; whatever turns out to be unusable is done without."""
        for source in self._sources:
            self._read(source)
        self._passed = self._exporting.last
        self._worker.offered = self
        while True:
            self._seen, self._first = {}, set()
            try:
                results = solve(self, self._event)
                for result in results:
                    self._complete(result)
            except BaseException as error:
                unusable = _unusable(error)
                if unusable is None or unusable.digest not in self._offers:
                    raise
                self._drop(unusable)
                self._begin_anew()
                continue
            self._keep()
            return results

    def _event(self, event: Event) -> None:
        """What the build tells. An attempt that ended for want of a layer is not told as a failure,
        and the vertices of the next one come after its own."""
        if isinstance(event, progress.VertexDone) and event.error.startswith(_LEAD):
            event = event.replace(error="")
        if self._passed and isinstance(event, _VERTEX_EVENTS):
            event = event.replace(
                number=event.number + self._passed, vertex=f"{event.vertex}+{self._passed}"
            )
        if isinstance(event, progress.VertexStarted):
            self._under_way[event.number] = event
        elif isinstance(event, progress.VertexDone):
            self._under_way.pop(event.number, None)
        self._exporting.event(event)

    def _begin_anew(self) -> None:
        """Closes the vertices of the attempt that ended."""
        for one in self._under_way.values():
            self._exporting.event(progress.VertexDone(one.number, one.vertex, one.name, 0.0))
        self._under_way.clear()
        self._passed = self._exporting.last

    def _read(self, source: RegistryCache | LocalCache) -> None:
        place: Place
        name = source.ref if isinstance(source, RegistryCache) else source.directory
        title = f"importing cache manifest from {name}"
        try:
            with self._exporting.vertex(title):
                if isinstance(source, RegistryCache):
                    place = RegistryPlace(self._engine, source)
                else:
                    place = LocalPlace(self._engine, source)
                records = place.records()
        except (KobakoError, OSError) as fault:
            self._warn(f"{title}: {fault}: ignored")
            return
        for record in records:
            self._rows.setdefault(record.key, (record, place))
            if record.layer is None:
                continue
            digest = record.layer.blob.digest
            known = self._offers.get(digest)
            if known is None or (record.layer.here and not known.layer.here):
                self._offers[digest] = _Offer(place, record.layer)

    def _complete(self, result: BuildResult) -> None:
        """Whatever becomes of the result, all of its layers are here now, whole and unpacked."""
        self._fetch_all(result)
        for layer in result.layers:
            there = self._engine.store.blobs.exists(layer.descriptor.digest)
            if not there or not self._engine.trees.has(layer.diff_id):
                self.unpack(layer)

    def _fetch_all(self, result: BuildResult) -> None:
        """Fetches what is missing, several at once. What fails is told when it is asked for."""
        wanted: dict[Place, list[Descriptor]] = {}
        for layer in result.layers:
            offer = self._offers.get(layer.descriptor.digest)
            if offer is None or not offer.layer.here:
                continue
            if not self._engine.store.blobs.exists(layer.descriptor.digest):
                wanted.setdefault(offer.place, []).append(layer.descriptor)
        for place, blobs in wanted.items():
            if len(blobs) > 1:
                try:
                    place.fetch(*blobs)
                except KobakoError:
                    pass

    def _drop(self, unusable: Unusable) -> None:
        """Forgets the layers that are only named, or the whole cache one of whose layers is not
        what it says."""
        offer = self._offers[unusable.digest]
        if not offer.layer.here:
            dropped = {d for d, one in self._offers.items() if not one.layer.here}
        else:
            self._warn(f"{offer.place.name}: {unusable.message}: ignored")
            dropped = {d for d, one in self._offers.items() if one.place is offer.place}
            self._rows = {k: v for k, v in self._rows.items() if v[1] is not offer.place}
        self._offers = {d: one for d, one in self._offers.items() if d not in dropped}
        self._rows = {
            key: (record, place)
            for key, (record, place) in self._rows.items()
            if record.layer is None or record.layer.blob.digest in self._offers
        }

    def _keep(self) -> None:
        """What was found elsewhere and is here now is known here from now on."""
        for key, record in self._seen.items():
            if key in self._rows and self._is_here(record) and self._store.get(key) is None:
                self._store.put(key, record.document())

    # What becomes of it

    def inlined(self, request: BuildRequest, result: BuildResult) -> BuildResult:
        """The result, with the cache in its config where that was asked for."""
        if not any(isinstance(one, InlineCache) for one in request.cache_to):
            return result
        from kobako.oci import Descriptor, ImageConfig, Manifest

        layers = [(layer.diff_id, layer.descriptor) for layer in result.layers]
        document = result.config.document()
        # One key a step: whether it was executed or found makes no difference to the image then.
        records = [record for key, record in self._seen.items() if key in self._first]
        document[cache_records.INLINE_KEY] = cache_records.inline(records, layers)
        config = ImageConfig.build(document)
        old = result.manifest
        pointer = Descriptor(old.config.media_type, config.digest, len(config.raw))
        manifest = Manifest.build(
            pointer, old.layers, media_type=old.media_type, annotations=old.annotations
        )
        return result.replace(config=config, manifest=manifest)

    def export(self, results: Sequence[BuildResult]) -> None:
        """Writes every cache asked for. Where its errors are to be ignored they are warnings."""
        for target in self._targets:
            if isinstance(target, InlineCache):
                continue
            place: RegistryPlace | LocalPlace
            if isinstance(target, RegistryCache):
                place = RegistryPlace(self._engine, target)
                title = "exporting cache to registry"
            else:
                place = LocalPlace(self._engine, target)
                title = "exporting cache to client directory"
            try:
                with self._exporting.vertex(title) as vertex:
                    raw, top = self._written(target, results)
                    vertex.line(f"writing config {top.digest}")
                    place.write(raw, top, vertex.event)
            except KobakoError as fault:
                if not target.form.ignore_error:
                    raise
                self._warn(f"{title}: {fault.message}: ignored")

    def _written(
        self, target: RegistryCache | LocalCache, results: Sequence[BuildResult]
    ) -> tuple[bytes, Any]:
        """The documents of a cache; the blobs they need are in the store."""
        form = target.form
        wanted = {layer.diff_id for result in results for layer in result.layers}
        records = []
        for record in (*self._seen.values(), *self._siblings()):
            layer = record.layer
            if layer is not None:
                here = self._is_here(record) and (form.everything or layer.diff_id in wanted)
                record = record.replace(layer=layer.replace(here=here))
            records.append(record)
        if form.compression:
            from kobako.engine.build.cache_compression import recompressed

            records = recompressed(self._engine, records, form.compression, form.level)
        return cache_records.envelope(records, index=form.index, docker=form.docker)

    def _siblings(self) -> list[CacheRecord]:
        """The same results under other keys: what is found by one is still known by all."""
        made = {
            (record.layer.diff_id, record.epoch): record
            for record in self._seen.values()
            if record.layer is not None
        }
        known = [record for record, _ in self._rows.values()]
        for row in self._store.table.list():
            if len(row.key) == 64:  # others can be large
                record = cache_records.record_of(row.key, loads(row.value))
                if record is not None:
                    known.append(record)
        return [
            record.replace(layer=made[record.layer.diff_id, record.epoch].layer)
            for record in known
            if record.key not in self._seen
            and record.layer is not None
            and (record.layer.diff_id, record.epoch) in made
        ]

    def _warn(self, text: str) -> None:
        self._exporting.event(progress.Warning(text))


def _unique(found: Any) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(found))


def _unusable(error: BaseException | None) -> Unusable | None:
    """The fault behind what a step told of it."""
    while error is not None:
        if isinstance(error, Unusable):
            return error
        error = error.__cause__ or error.__context__
    return None
