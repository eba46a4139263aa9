"""Pull: a reference's manifest and blobs into the store, everything verified."""

from __future__ import annotations

import os
from functools import partial

from kobako.errors import Corrupt, Invalid, NotFound, Unavailable
from kobako.events import LayerProgress, Status, ignore
from kobako.oci.manifest import Index, Manifest, parse_manifest_or_index
from kobako.record import Record
from kobako.remote import registry as registries
from kobako.remote import workers
from kobako.remote.client import Client
from kobako.remote.download import Download
from kobako.remote.registry import Registry
from kobako.remote.repository import MAX_MANIFEST, Repository
from kobako.remote.sources import Sources
from kobako.remote.transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.events import OnEvent
    from kobako.oci.descriptor import Descriptor
    from kobako.oci.digest import Digest
    from kobako.oci.platform import Platform
    from kobako.oci.reference import Reference
    from kobako.remote.download import Source
    from kobako.remote.session import Session
    from kobako.store.store import Store

_MAX_NESTING = 4


class Pulled(Record):
    """What a pull brought: `target` is what the reference names (docker's `Digest:` line),
    `manifest` the image chosen from it; the same unless `target` is an index. `host` served it.
    """

    target: Descriptor
    manifest: Descriptor
    host: str


def pull(
    store: Store,
    reference: Reference,
    platform: Platform,
    client: Client,
    on_event: OnEvent = ignore,
    *,
    known: Digest | None = None,
    layers: bool = True,
) -> Pulled:
    """Bring an image into the store: its index if there is one, manifest, config and layers.

    `known` is what the store's ref of this name points to now: if the registry still says the
    same, no manifest is downloaded. What the store has is not downloaded again. Without `layers`
    only what describes the image is brought. The caller holds a lease from before the call until a
    ref points to the result. No threads are left behind; an interrupt leaves whole blobs for the
    next attempt.

    Emits a `Status` and, unless the whole image is there already, for each layer `LayerProgress`
    up to "Download complete" or "Already exists". Raises `NotFound`, `Unauthorized`, `Denied`,
    `Invalid` for malformed or unsupported manifests, `Corrupt` for content that is not what its
    digest says, `Unavailable`.
    """
    reference = reference.with_default_tag()
    with Transport(client) as transport:
        return _Pull(store, reference, platform, transport, on_event).run(known, layers)


class _Pull:
    """One pull under way."""

    def __init__(
        self,
        store: Store,
        reference: Reference,
        platform: Platform,
        transport: Transport,
        on_event: OnEvent,
    ) -> None:
        self.store = store
        self.reference = reference
        self.platform = platform
        self.transport = transport
        self.on_event = on_event
        self.registry = Registry(reference.domain, transport)

    def run(self, known: Digest | None, layers: bool) -> Pulled:
        wanted = str(self.reference.digest or self.reference.tag)
        session, target = self.registry.first(lambda s: (s, self._target(s, wanted, known)))
        self.on_event(Status(f"{wanted}: Pulling from {self.reference.path}"))
        documents = [target]
        while isinstance(documents[-1], Index):
            if len(documents) > _MAX_NESTING:
                raise Invalid(f"{self.reference.familiar()}: indexes nested too deeply")
            entry = self._select(documents[-1])
            documents.append(self._child(session, entry))
        manifest = documents[-1]
        assert isinstance(manifest, Manifest)
        self._blobs(session, manifest, layers)
        for document in reversed(documents):  # children first
            self.store.blobs.put(document.raw)
        fetched = (manifest.config, *(manifest.layers if layers else ()))
        held = [d.digest for d in fetched if not d.urls]
        Sources(self.store.root).remember(session.host, self.reference.path, held)
        return Pulled(target.descriptor, manifest.descriptor, session.host)

    def _target(self, session: Session, wanted: str, known: Digest | None) -> Manifest | Index:
        """What the reference names, from the store if it is there already."""
        repository = Repository(session, self.reference)
        digest = self.reference.digest
        if digest is None and known is not None:
            now = repository.head(wanted)
            digest = now.digest if now is not None else None
        stored = self._stored(digest) if digest is not None else None
        return stored or repository.manifest(wanted)

    def _select(self, index: Index) -> Descriptor:
        try:
            return index.select(self.platform)
        except NotFound as fault:
            raise NotFound(
                f"{self.reference.familiar()}: {fault.message}", hint=fault.hint
            ) from None

    def _child(self, session: Session, entry: Descriptor) -> Manifest | Index:
        stored = self._stored(entry.digest)
        if stored is not None:
            return stored
        repository = Repository(session, self.reference)
        found = session.retried(lambda: repository.manifest(str(entry.digest)))
        if len(found.raw) != entry.size:
            raise Corrupt(
                f"manifest {entry.digest} has {len(found.raw)} bytes, its index says {entry.size}"
            )
        return found

    def _stored(self, digest: Digest) -> Manifest | Index | None:
        if not self.store.blobs.exists(digest):
            return None
        try:
            return parse_manifest_or_index(self.store.blobs.read(digest, MAX_MANIFEST))
        except (Corrupt, Invalid):
            return None  # damaged here: the registry's will tell

    def _blobs(self, session: Session, manifest: Manifest, with_layers: bool) -> None:
        wanted_layers = manifest.layers if with_layers else ()
        layers = list({layer.digest: layer for layer in wanted_layers}.values())
        config = manifest.config
        wanted = [] if self._has(config) else [config]
        missing = [layer for layer in layers if not self._has(layer)]
        for layer in layers if wanted or missing else ():  # of a known image docker says nothing
            action = "Pulling fs layer" if layer in missing else "Already exists"
            self.on_event(LayerProgress(layer.digest.short, action))
        self._require_space(missing)
        watched = {layer.digest for layer in missing}
        parallel = self.transport.client.limits.parallel
        for layer in missing[parallel:]:
            self.on_event(LayerProgress(layer.digest.short, "Waiting"))
        workers.run(
            [self._task(session, blob, blob.digest in watched) for blob in [*wanted, *missing]],
            parallel,
            self.transport.abort,
        )

    def _has(self, blob: Descriptor) -> bool:
        """Whether the store has a blob, or the manifest itself carries it."""
        if not self.store.blobs.exists(blob.digest):
            if blob.data is None:
                return False
            self.store.blobs.put(blob.data)
        size = self.store.blobs.size(blob.digest)
        if size != blob.size:
            raise Corrupt(
                f"{self.reference.familiar()}: its manifest says that {blob.digest} has "
                f"{blob.size} bytes, but it has {size}"
            )
        return True

    def _task(self, session: Session, blob: Descriptor, watched: bool) -> workers.Task:
        def task() -> None:
            download = Download(self.store.blobs, blob, self.on_event if watched else None)
            download.run(self._serving(session, blob))

        return task

    def _serving(self, session: Session, blob: Descriptor) -> Iterator[Source]:
        """Who may have a blob: where the manifest came from, the other endpoints, foreign URLs."""
        for each in (session, *registries.following(self.registry, session)):
            repository = Repository(each, self.reference)
            yield each, partial(repository.blob, blob.digest)
        for url in blob.urls:
            if url.startswith(("http://", "https://")):
                yield session, partial(repository.foreign, url)

    def _require_space(self, missing: list[Descriptor]) -> None:
        need = sum(layer.size for layer in missing)
        try:
            status = os.statvfs(self.store.root)
        except OSError:
            return
        free = status.f_bavail * status.f_frsize
        if need > free:
            raise Unavailable(
                f"pull of {self.reference.familiar()}: needs {need} bytes, but only {free} are "
                f"free in {self.store.root}",
                hint="free some space: kobako system prune",
            )
