"""Push: an image or index and all it refers to from the store into a registry, children first."""

from __future__ import annotations

from kobako.errors import Corrupt, Invalid, NotFound
from kobako.events import LayerProgress, ignore
from kobako.oci import mediatypes
from kobako.oci.config import ImageConfig
from kobako.oci.manifest import Index, Manifest, parse_manifest_or_index
from kobako.remote import workers
from kobako.remote.client import Client
from kobako.remote.registry import Registry
from kobako.remote.repository import MAX_MANIFEST, Repository
from kobako.remote.sources import Sources
from kobako.remote.transport import Transport
from kobako.remote.upload import Stored, Upload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.events import OnEvent
    from kobako.oci.descriptor import Descriptor
    from kobako.oci.digest import Digest
    from kobako.oci.reference import Reference
    from kobako.remote.session import Session
    from kobako.store.store import Store

_MAX_NESTING = 4


def _is_blob(entry: Descriptor) -> bool:
    """Whether an index names a blob instead of a manifest, as those of build caches may."""
    return bool(entry.media_type) and entry.media_type not in mediatypes.ACCEPTED


def push(
    store: Store,
    target: Digest,
    reference: Reference,
    client: Client,
    on_event: OnEvent = ignore,
    *,
    mounts: tuple[str, ...] = (),
    by_digest: bool = False,
) -> Descriptor:
    """Push the manifest or index `target` as `reference`; its descriptor, for docker's last line.
    `by_digest`: into that repository, without giving it a tag.

    Blobs come first, several at once, then manifests, the tag last: a registry never shows half an
    image. A blob that another repository of the registry is known to hold (seen in earlier pulls
    and pushes of this store, or named in `mounts` by its path) is mounted, not uploaded. Doing it
    again finishes what was broken off. The caller holds a lease that keeps `target`. No threads are
    left behind.

    Emits `LayerProgress` with the short DiffID of each layer. Raises `NotFound` for content the
    store lacks, `Unauthorized`, `Denied`, `Unavailable`.
    """
    if by_digest:
        reference = reference.replace(tag=None, digest=target)
    else:
        reference = reference.with_default_tag()
    if reference.tag is None and not by_digest:
        raise Invalid("cannot push a digest reference", hint="give it a tag: kobako tag")
    with Transport(client) as transport:
        return _Push(store, reference, transport, on_event, mounts).run(target)


class _Push:
    """One push under way."""

    def __init__(
        self,
        store: Store,
        reference: Reference,
        transport: Transport,
        on_event: OnEvent,
        mounts: tuple[str, ...],
    ) -> None:
        self.store = store
        self.reference = reference
        self.transport = transport
        self.on_event = on_event
        self.mounts = mounts
        self.sources = Sources(store.root)

    def run(self, target: Digest) -> Descriptor:
        documents = self._collect(target)
        blobs: dict[Digest, tuple[Descriptor, str]] = {}
        for document in documents:
            for blob, shown in self._blobs(document):
                blobs.setdefault(blob.digest, (blob, shown))
        layers = [shown for _, shown in blobs.values() if shown]
        for shown in layers:
            self.on_event(LayerProgress(shown, "Preparing"))
        for shown in layers[self.transport.client.limits.parallel :]:
            self.on_event(LayerProgress(shown, "Waiting"))
        registry = Registry(self.reference.domain, self.transport, push=True)
        return self._to(registry.first(lambda session: session), documents, blobs)

    def _to(
        self,
        session: Session,
        documents: list[Manifest | Index],
        blobs: dict[Digest, tuple[Descriptor, str]],
    ) -> Descriptor:
        repository = Repository(session, self.reference)
        tasks = [self._task(repository, blob, shown) for blob, shown in blobs.values()]
        workers.run(tasks, self.transport.client.limits.parallel, self.transport.abort)
        *children, top = documents
        for child in children:
            self._put(repository, child, str(child.digest))
        self._put(repository, top, str(self.reference.tag or top.digest))
        self.sources.remember(session.host, self.reference.path, blobs)
        return top.descriptor

    def _put(self, repository: Repository, document: Manifest | Index, wanted: str) -> None:
        repository.session.retried(lambda: repository.put_manifest(document, wanted))

    def _collect(self, target: Digest) -> list[Manifest | Index]:
        """The documents from the leaves to the target, each once."""
        found: dict[Digest, Manifest | Index] = {}

        def visit(digest: Digest, media_type: str, depth: int) -> None:
            if digest in found:
                return
            if depth > _MAX_NESTING:
                raise Invalid(f"{self.reference.familiar()}: indexes nested too deeply")
            document = self._document(digest, media_type, depth)
            if isinstance(document, Index):
                for entry in document.manifests:
                    if not _is_blob(entry):
                        visit(entry.digest, entry.media_type, depth + 1)
            found[digest] = document

        visit(target, "", 0)
        return list(found.values())

    def _document(self, digest: Digest, media_type: str, depth: int) -> Manifest | Index:
        try:
            raw = self.store.blobs.read(digest, MAX_MANIFEST)
        except NotFound:
            if not depth:
                raise
            raise NotFound(
                f"{self.reference.familiar()}: its index names the manifest {digest}, which is not "
                "in the store",
                hint="pull all its platforms, or push the image of one platform",
            ) from None
        return parse_manifest_or_index(raw, media_type)

    def _blobs(self, manifest: Manifest | Index) -> list[tuple[Descriptor, str]]:
        """What a document needs, each with the id to show: layers first, the config unseen."""
        if isinstance(manifest, Index):
            named = [entry for entry in manifest.manifests if _is_blob(entry)]
            for entry in named:
                self._require_size(entry)
            return [(entry, entry.digest.short) for entry in named]
        names = [layer.digest.short for layer in manifest.layers]
        if manifest.is_image:
            raw = self.store.blobs.read(manifest.config.digest, MAX_MANIFEST)
            diff_ids = ImageConfig.parse(raw).diff_ids
            if len(diff_ids) == len(names):
                names = [diff_id.short for diff_id in diff_ids]
        found = []
        for layer, shown in zip(manifest.layers, names, strict=True):
            if self.store.blobs.exists(layer.digest):
                self._require_size(layer)
                found.append((layer, shown))
            elif layer.urls:
                self.on_event(LayerProgress(shown, "Skipped foreign layer"))
            else:
                raise NotFound(
                    f"{self.reference.familiar()}: the store lacks its layer {layer.digest}",
                    hint="pull, load or build it again",
                )
        self._require_size(manifest.config)
        return [*found, (manifest.config, "")]

    def _require_size(self, blob: Descriptor) -> None:
        size = self.store.blobs.size(blob.digest)
        if size != blob.size:
            raise Corrupt(
                f"{self.reference.familiar()}: its manifest says that {blob.digest} has "
                f"{blob.size} bytes, but it has {size}"
            )

    def _task(self, repository: Repository, blob: Descriptor, shown: str) -> workers.Task:
        known = self.sources.holding(repository.session.host, blob.digest, repository.path)
        named = tuple(m for m in self.mounts if m not in known and m != repository.path)
        on_event = self.on_event if shown else None
        source = Stored(self.store.blobs)
        return Upload(source, blob, repository, known + named, shown, on_event).run
