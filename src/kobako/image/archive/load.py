"""Reading images from archives and layouts into the store."""

from __future__ import annotations

from kobako import events
from kobako.errors import Corrupt, Invalid, NotFound
from kobako.image.archive import contents, documents
from kobako.image.mutate import Image
from kobako.layer import codec
from kobako.oci import mediatypes
from kobako.oci.config import ImageConfig
from kobako.oci.descriptor import Descriptor
from kobako.oci.digest import Digest
from kobako.oci.document import MAX_DOCUMENT
from kobako.oci.manifest import Index, Manifest, parse_manifest_or_index
from kobako.oci.platform import Platform
from kobako.oci.reference import Reference
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from kobako.events import OnEvent
    from kobako.image.archive.contents import Contents, OnLayer, Stored
    from kobako.store import ContentStore

_DEPTH = 4  # indexes within indexes


class Loaded(Record):
    """An image of an archive, complete in the content store.

    `references` are the full names the archive gives it (none for an unnamed one); `target` points
    to its manifest or index; `images` are the manifests that are container images.
    """

    references: tuple[Reference, ...]
    target: Descriptor
    images: tuple[Image, ...]


def load(
    blobs: ContentStore,
    stream: BinaryIO,
    *,
    on_layer: OnLayer | None = None,
    on_event: OnEvent = events.ignore,
) -> list[Loaded]:
    """Read an archive of docker's, podman's, skopeo's or an OCI layout's kind, compressed or not,
    from a file or a pipe.

    The caller holds a lease, and sets the references. `on_layer` may unpack layers while they are
    read (see `contents.Spooler`). Raises `Invalid` or `NotFound` for an archive that is not whole
    and `Corrupt` for content that is not what its digest says.
    """
    spooler = contents.Spooler(blobs, on_layer)
    plain = decompressed(stream)
    found: Contents
    if plain is stream and _seekable(stream):
        found = contents.SeekableTar(stream, spooler)
    else:
        found = contents.StreamedTar(plain, spooler)
    return _Loader(found, spooler, on_event).load()


def load_layout(
    blobs: ContentStore,
    directory: str,
    *,
    on_layer: OnLayer | None = None,
    on_event: OnEvent = events.ignore,
) -> list[Loaded]:
    """As `load`, of an OCI image layout in a directory."""
    spooler = contents.Spooler(blobs, on_layer)
    return _Loader(contents.LayoutFiles(directory, spooler), spooler, on_event).load()


class _Loader:
    def __init__(self, found: Contents, spooler: contents.Spooler, on_event: OnEvent) -> None:
        self._contents = found
        self._spooler = spooler
        self._on_event = on_event

    def load(self) -> list[Loaded]:
        index = self._contents.document("index.json")
        docker = self._contents.document("manifest.json")
        if index is not None and self._contents.document("oci-layout") is not None:
            return self._load_layout(index, docker)
        if docker is not None:
            images = documents.parse_docker_manifest(docker)
            return _united([self._load_docker(image) for image in images])
        raise Invalid(
            "the archive holds no image: neither index.json nor manifest.json is in it",
            hint="a root filesystem is made an image by: kobako import",
        )

    # OCI layouts

    def _load_layout(self, raw: bytes, docker: bytes | None) -> list[Loaded]:
        index = Index.parse(raw, mediatypes.OCI_INDEX)
        names = self._docker_names(docker)
        loaded = []
        for entry in index.manifests:
            images = self._load_entry(entry, 0)
            reference = documents.annotated_name(entry)
            references = [reference] if reference is not None else []
            for image in images:
                references += names.get(image.id, [])
            target = Descriptor(entry.media_type, entry.digest, entry.size)
            loaded.append(Loaded(tuple(references), target, tuple(images)))
        return _united(loaded)

    def _docker_names(self, raw: bytes | None) -> dict[Digest, list[Reference]]:
        """Names by image id, from a manifest.json that accompanies a layout."""
        names: dict[Digest, list[Reference]] = {}
        for image in documents.parse_docker_manifest(raw) if raw is not None else ():
            config = self._contents.document(image.config)
            if config is not None:
                known = names.setdefault(Digest.of(config), [])
                known += [Reference.parse(tag).with_default_tag() for tag in image.tags]
        return names

    def _load_entry(self, entry: Descriptor, depth: int) -> list[Image]:
        raw = self._contents.document(documents.blob_name(entry.digest))
        if raw is None:
            raise NotFound(f"the archive does not hold {entry.digest}, which it names")
        if len(raw) != entry.size or not entry.digest.verifies(raw):
            raise Corrupt(f"the archive's {entry.digest} is not what its digest says")
        document = parse_manifest_or_index(raw, entry.media_type)
        images: list[Image] = []
        if isinstance(document, Manifest):
            images += self._load_manifest(document)
        else:
            if depth >= _DEPTH:
                raise Invalid("the archive's indexes are nested too deeply")
            for child in document.manifests:
                # `docker save` leaves out the platforms it did not have.
                if self._contents.document(documents.blob_name(child.digest)) is not None:
                    loaded = self._load_entry(child, depth + 1)
                    if not _is_attestation(child):
                        images += loaded
            if not images:
                raise NotFound(f"the archive holds no image of the index {entry.digest}")
        self._spooler.blobs.put(raw)
        return images

    def _load_manifest(self, manifest: Manifest) -> list[Image]:
        config = self._blob(manifest.config)
        if not manifest.is_image:
            for layer in manifest.layers:
                self._blob(layer)
            return []
        parsed = ImageConfig.parse(self._spooler.blobs.read(config.digest, MAX_DOCUMENT))
        image = Image.of(manifest, parsed)
        runs_here = parsed.platform.matches(Platform.host())
        for diff_id, layer in image.layers:
            stored = self._blob(layer, diff_id, runs_here)
            _check_layer(stored, diff_id)
        return [image]

    def _blob(
        self, blob: Descriptor, diff_id: Digest | None = None, unpack: bool = False
    ) -> Stored:
        stored = self._spooler.known(blob.digest)
        if stored is None:
            name = documents.blob_name(blob.digest)
            self._report(blob.digest, "Loading layer", diff_id is not None)
            stored = contents.require(
                self._contents.store(name, expected=blob.digest, diff_id=diff_id, layer=unpack),
                name,
            )
        if stored.size != blob.size:
            raise Invalid(f"{blob.digest} has {stored.size} bytes where {blob.size} are told")
        return stored

    # docker's own format

    def _load_docker(self, listed: documents.DockerImage) -> Loaded:
        raw = self._contents.document(listed.config)
        if raw is None:
            raise NotFound(f"the archive does not hold {listed.config[:200]}, which it names")
        config = ImageConfig.parse(raw)
        if len(config.diff_ids) != len(listed.layers):
            raise Invalid(
                f"manifest.json names {len(listed.layers)} layers, the image's config"
                f" {len(config.diff_ids)}"
            )
        layers = [
            self._docker_layer(name, diff_id)
            for name, diff_id in zip(listed.layers, config.diff_ids, strict=True)
        ]
        self._spooler.blobs.put(raw)
        pointer = Descriptor(mediatypes.OCI_CONFIG, config.digest, len(raw))
        image = Image.of(Manifest.build(pointer, layers), config)
        references = tuple(Reference.parse(t).with_default_tag() for t in listed.tags)
        return Loaded(references, image.write(self._spooler.blobs), (image,))

    def _docker_layer(self, name: str, diff_id: Digest) -> Descriptor:
        stored = self._spooler.known(diff_id)
        if stored is None:
            self._report(diff_id, "Loading layer", True)
            stored = contents.require(self._contents.store(name, diff_id=diff_id, layer=True), name)
        _check_layer(stored, diff_id)
        media_type = mediatypes.oci_layer(codec.detect(stored.magic))
        return Descriptor(media_type, stored.digest, stored.size)

    def _report(self, digest: Digest, action: str, worth_telling: bool) -> None:
        if worth_telling:
            self._on_event(events.LayerProgress(digest.short, action))


def _check_layer(stored: Stored, diff_id: Digest) -> None:
    """An uncompressed layer must have its DiffID; others are checked when they are unpacked."""
    name = codec.detect(stored.magic)
    if name in (codec.BZIP2, codec.XZ):
        raise Invalid(f"the layer {diff_id.short} is compressed by {name}, which OCI does not know")
    if name == codec.PLAIN and stored.digest != diff_id and diff_id.algorithm == "sha256":
        raise Corrupt(f"the layer {diff_id} has the digest {stored.digest}")


def _is_attestation(entry: Descriptor) -> bool:
    """Whether an index's entry speaks of another one; it may look like an image."""
    return entry.annotation("vnd.docker.reference.type") == "attestation-manifest"


def _united(loaded: list[Loaded]) -> list[Loaded]:
    """One entry per target: archives list an image once for each of its names."""
    found: dict[Digest, Loaded] = {}
    for one in loaded:
        known = found.get(one.target.digest)
        if known is not None:
            one = known.replace(references=known.references + one.references)
        found[one.target.digest] = one.replace(references=tuple(dict.fromkeys(one.references)))
    return list(found.values())


def decompressed(stream: BinaryIO) -> BinaryIO:
    """`stream` itself when it is a plain file, else what its compression holds."""
    if _seekable(stream):
        start = stream.tell()
        magic = stream.read(6)
        stream.seek(start)
        if codec.detect(magic) == codec.PLAIN:
            return stream
    return codec.open_reader(stream)[0]


def _seekable(stream: BinaryIO) -> bool:
    try:
        return stream.seekable()
    except (AttributeError, OSError):
        return False
