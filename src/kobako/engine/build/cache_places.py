"""Where build caches lie: registries and directories, read in parts and written whole."""

from __future__ import annotations

import os

from kobako.build import cache_records
from kobako.errors import Corrupt, Invalid, NotFound, Unavailable
from kobako.oci import Descriptor, Digest, ImageConfig, Index, Manifest, Reference
from kobako.oci.manifest import parse_manifest_or_index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from kobako.build.cache_records import CacheRecord
    from kobako.build.cache_spec import LocalCache, RegistryCache
    from kobako.engine.engine import Engine
    from kobako.events import OnEvent

    Read = Callable[[Descriptor], bytes]
else:
    Protocol = object

MAX_CONFIG = 64 << 20
_REF_NAME = "org.opencontainers.image.ref.name"


class Place(Protocol):
    """A cache to read. `name` is what messages call it."""

    name: str

    def records(self) -> list[CacheRecord]:
        """What it holds; no layer is fetched."""

    def fetch(self, *blobs: Descriptor) -> None:
        """Brings blobs of layers into the store, verified."""


class RegistryPlace:
    """A cache in a registry, or the inline cache of an image."""

    def __init__(self, engine: Engine, spec: RegistryCache) -> None:
        self._engine = engine
        self._reference = Reference.parse(spec.ref).with_default_tag()
        self._insecure = spec.insecure
        self.name = self._reference.familiar()

    def records(self) -> list[CacheRecord]:
        from kobako.engine import transfers
        from kobako.remote.artifact import read_documents

        client = transfers.client(self._engine, insecure=self._secure_less())
        top, documents = read_documents(self._reference, client, _documents, MAX_CONFIG)
        return _records(top, lambda part: documents[part.digest])

    def fetch(self, *blobs: Descriptor) -> None:
        from kobako.engine import transfers
        from kobako.remote.artifact import fetch_blobs

        client = transfers.client(self._engine, insecure=self._secure_less())
        fetch_blobs(self._engine.store.blobs, self._reference, blobs, client)

    def write(self, raw: bytes, top: Manifest | Index, on_event: OnEvent) -> None:
        """Pushes a cache whose blobs are in the store."""
        from kobako.engine import transfers

        blobs = self._engine.store.blobs
        blobs.put_all(raw, top.raw)
        transfers.send(self._engine, top.digest, self._reference, on_event, insecure=self._insecure)

    def _secure_less(self) -> str:
        return self._reference.domain if self._insecure else ""


class LocalPlace:
    """A cache in a directory: an OCI image layout, of which several may share it."""

    def __init__(self, engine: Engine, spec: LocalCache) -> None:
        self._engine = engine
        self._spec = spec
        self.name = spec.directory

    def records(self) -> list[CacheRecord]:
        top = parse_manifest_or_index(self._read(self._top(), MAX_CONFIG))
        return _records(top, lambda part: self._read(part.digest, MAX_CONFIG, part.size))

    def fetch(self, *blobs: Descriptor) -> None:
        for blob in blobs:
            self._fetch(blob)

    def _fetch(self, blob: Descriptor) -> None:
        path = self._path(blob.digest)
        try:
            with (
                open(path, "rb") as source,
                self._engine.store.blobs.writer(blob.digest, blob.size) as writer,
            ):
                while chunk := source.read(1 << 20):
                    writer.write(chunk)
                writer.commit()
        except FileNotFoundError:
            raise NotFound(f"{self.name} has no blob {blob.digest}") from None

    def write(self, raw: bytes, top: Manifest | Index, on_event: OnEvent) -> None:
        """Writes a cache beside what is there; one of the same tag is replaced."""
        import fcntl

        try:
            os.makedirs(os.path.join(self.name, "blobs", "sha256"), exist_ok=True)
            directory = os.open(self.name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                # One at a time: each keeps what the others have listed and removes what nobody has.
                fcntl.flock(directory, fcntl.LOCK_EX)
                self._write(raw, top)
            finally:
                os.close(directory)
        except OSError as fault:
            raise Unavailable(f"{self.name}: {fault.strerror}") from fault

    def _write(self, raw: bytes, top: Manifest | Index) -> None:
        parts = top.layers if isinstance(top, Manifest) else top.manifests
        config = cache_records.config_of(top)
        assert config is not None
        for part in parts:
            if part.digest != config.digest:
                self._copy(part)
        self._put(self._path(config.digest), raw)
        self._put(self._path(top.digest), top.raw)
        self._put(os.path.join(self.name, "oci-layout"), b'{"imageLayoutVersion":"1.0.0"}')
        mark = ((_REF_NAME, self._spec.tag),)
        others = (
            [] if self._spec.reset else [d for d in self._entries() if _tag(d) != _tag_of(mark)]
        )
        index = Index.build([*others, top.descriptor.replace(annotations=mark)])
        self._put(os.path.join(self.name, "index.json"), index.raw)
        if self._spec.reset:
            kept = {top.digest, config.digest, *(part.digest for part in parts)}
            self._remove_others(kept)

    def _copy(self, part: Descriptor) -> None:
        path = self._path(part.digest)
        try:
            if os.stat(path).st_size == part.size:
                return
        except FileNotFoundError:
            pass
        blobs = self._engine.store.blobs
        with blobs.open(part.digest) as source, open(_beside(path), "wb") as sink:
            while chunk := source.read(1 << 20):
                sink.write(chunk)
        os.rename(_beside(path), path)

    def _put(self, path: str, data: bytes) -> None:
        with open(_beside(path), "wb") as sink:
            sink.write(data)
        os.rename(_beside(path), path)

    def _remove_others(self, kept: set[Digest]) -> None:
        names = {digest.encoded for digest in kept}
        directory = os.path.join(self.name, "blobs", "sha256")
        for name in os.listdir(directory):
            if name not in names:
                os.unlink(os.path.join(directory, name))

    def _top(self) -> Digest:
        if self._spec.digest:
            return Digest.parse(self._spec.digest)
        entries = self._entries(required=True)
        for entry in entries:
            if _tag(entry) == self._spec.tag:
                return entry.digest
        raise NotFound(f"{self.name} has no cache called {self._spec.tag}")

    def _entries(self, *, required: bool = False) -> tuple[Descriptor, ...]:
        try:
            with open(os.path.join(self.name, "index.json"), "rb") as file:
                raw = file.read(MAX_CONFIG)
        except FileNotFoundError:
            if required:
                raise NotFound(f"{self.name} holds no cache: it has no index.json") from None
            return ()
        try:
            return Index.parse(raw).manifests
        except Invalid:
            if required:
                raise
            return ()

    def _read(self, digest: Digest, limit: int, size: int | None = None) -> bytes:
        try:
            with open(self._path(digest), "rb") as file:
                raw = file.read(limit + 1)
        except FileNotFoundError:
            raise NotFound(f"{self.name} has no blob {digest}") from None
        if len(raw) > limit or not digest.verifies(raw) or size not in (None, len(raw)):
            raise Corrupt(f"{self.name}: blob {digest} is not what its digest says")
        return raw

    def _path(self, digest: Digest) -> str:
        return os.path.join(self.name, "blobs", digest.algorithm, digest.encoded)


def _beside(path: str) -> str:
    return f"{path}.{os.getpid()}.part"


def _tag(entry: Descriptor) -> str:
    return _tag_of(entry.annotations)


def _tag_of(marks: tuple[tuple[str, str], ...]) -> str:
    return dict(marks).get(_REF_NAME, "")


def _documents(found: Manifest | Index) -> list[Descriptor]:
    """What has to be read of a document to know a cache: its config, or the images' configs."""
    config = cache_records.config_of(found)
    if config is not None:
        return [config]
    if isinstance(found, Manifest):
        return [found.config] if found.is_image else []
    return [one for one in found.manifests if one.platform is None or one.platform.os != "unknown"]


def _records(top: Manifest | Index, read: Read) -> list[CacheRecord]:
    config = cache_records.config_of(top)
    if config is not None:
        return cache_records.parse(read(config), top)
    if isinstance(top, Index):
        found = []
        for part in _documents(top):
            found += _records(parse_manifest_or_index(read(part), part.media_type), read)
        return found
    if not top.is_image:
        raise Invalid("it is neither a build cache nor an image")
    image = ImageConfig.parse(read(top.config))
    if len(image.diff_ids) != len(top.layers):
        raise Invalid("its config and its manifest name different layers")
    layers = list(zip(image.diff_ids, top.layers, strict=True))
    document: dict[str, Any] = image.document()
    return cache_records.parse_inline(document, layers)
