"""Writing images: one tar that docker, podman, skopeo, containerd and umoci all read."""

from __future__ import annotations

import os
import stat

from kobako.errors import Invalid, NotFound, Unavailable
from kobako.image.archive import documents
from kobako.image.mutate import Image
from kobako.layer.entry import DIRECTORY, Entry
from kobako.layer.tar_writer import TarWriter
from kobako.linux import fs
from kobako.oci.document import MAX_DOCUMENT
from kobako.oci.manifest import Index, Manifest, parse_manifest_or_index
from kobako.oci.platform import Platform
from kobako.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from io import RawIOBase
    from typing import BinaryIO

    from kobako.oci.descriptor import Descriptor
    from kobako.oci.digest import Digest
    from kobako.store import ContentStore

FORMATS = ("docker", "oci")
_CHUNK = 1 << 20


def save(
    blobs: ContentStore,
    images: Sequence[tuple[Reference | None, Digest]],
    sink: BinaryIO,
    kind: str = "docker",
    *,
    platform: Platform | None = None,
    annotations: Sequence[tuple[str, str]] = (),
) -> None:
    """Write images, each a name (or None) and the digest of its manifest or index, as one tar.

    "oci" is an image layout; "docker" has manifest.json and repositories beside it, as docker
    writes since version 25, for readers that know only those. Documents come before the layers, so
    a reader of a pipe knows what to expect. Where an index is saved, every image of it that is in
    the store is, and manifest.json tells of the one for `platform`. `annotations` are added to
    what index.json says of each. Raises `NotFound` for a missing blob.
    """
    if kind not in FORMATS:
        raise Invalid(f"unknown archive format {kind!r}", hint="use docker or oci")
    layout = _Layout(blobs, images, platform or Platform.host(), annotations)
    writer = TarWriter(sink)
    for directory in (b"blobs", b"blobs/sha256"):
        writer.add(Entry(directory, DIRECTORY, 0o755))
    for name, data in layout.documents(docker=kind == "docker"):
        writer.add(Entry(name.encode(), size=len(data)), data)
    for digest, size in layout.blobs():
        with blobs.open(digest) as content:
            # mypy: a RawIOBase is a BinaryIO in all that is used
            writer.add(Entry(documents.blob_name(digest).encode(), size=size), content)  # type: ignore[arg-type]
    writer.finish()


def export_layout(
    blobs: ContentStore,
    images: Sequence[tuple[Reference | None, Digest]],
    directory: str,
    *,
    annotations: Sequence[tuple[str, str]] = (),
) -> None:
    """Write an OCI image layout into `directory`, made if need be; blobs there stay.

    Nothing is written through a link in it. index.json comes last, so a reader never sees names
    without content.
    """
    layout = _Layout(blobs, images, Platform.host(), annotations)
    os.makedirs(directory, exist_ok=True)
    top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for digest, size in layout.blobs():
            place, _, name = documents.blob_name(digest).rpartition("/")
            into = _subdirectory(top, place)
            try:
                if not _is_there(into, name, size):
                    with blobs.open(digest) as content:
                        _write(into, name, _pieces(content))
            finally:
                os.close(into)
        found = layout.documents(docker=False)
        for name, data in sorted(found, key=lambda d: d[0] == "index.json"):
            _write(top, name, [data])
    finally:
        os.close(top)


def _subdirectory(top: int, path: str) -> int:
    """A directory of the layout, made if need be; a link in its place is an error."""
    fd = os.dup(top)
    for part in path.split("/"):
        above, fd = fd, -1
        try:
            try:
                os.mkdir(part, dir_fd=above)
            except FileExistsError:
                pass
            fd = os.open(part, fs.DIRECTORY, dir_fd=above)
        finally:
            os.close(above)
    return fd


def _is_there(fd: int, name: str, size: int) -> bool:
    try:
        info = os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(info.st_mode) and info.st_size == size


def _pieces(content: RawIOBase) -> Iterator[bytes]:
    while chunk := content.read(_CHUNK):
        yield chunk


def _write(fd: int, name: str, pieces: Iterable[bytes]) -> None:
    part = f".{name[:64]}.{os.urandom(6).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(part, flags, 0o666, dir_fd=fd), "wb") as file:
            for piece in pieces:
                file.write(piece)
        os.rename(part, name, src_dir_fd=fd, dst_dir_fd=fd)
    except BaseException:
        os.unlink(part, dir_fd=fd)
        raise


class _Layout:
    """What a layout of these images holds; documents small enough to be in memory."""

    def __init__(
        self,
        blobs: ContentStore,
        images: Sequence[tuple[Reference | None, Digest]],
        platform: Platform,
        annotations: Sequence[tuple[str, str]],
    ) -> None:
        self._store = blobs
        self._annotations = tuple(annotations)
        self._platform = platform
        self._sizes: dict[Digest, int] = {}
        self._layers: dict[Digest, int] = {}
        self._entries: list[Descriptor] = []
        self._docker: dict[Digest, tuple[Image, list[Reference]]] = {}
        for reference, digest in images:
            self._add(reference, digest)

    def documents(self, *, docker: bool) -> list[tuple[str, bytes]]:
        index = Index.build(self._entries)
        found = [("index.json", index.raw), ("oci-layout", documents.OCI_LAYOUT)]
        if docker:
            listed, tops = [], []
            for image, references in self._docker.values():
                names = tuple(r.familiar() for r in references)
                layers = tuple(documents.blob_name(d.digest) for d in image.manifest.layers)
                config = documents.blob_name(image.id)
                listed.append(documents.DockerImage(config, layers, names))
                if image.config.diff_ids:
                    tops += [(r, image.config.diff_ids[-1]) for r in references]
            found.append(("manifest.json", documents.build_docker_manifest(listed)))
            found.append(("repositories", documents.build_repositories(tops)))
        return found

    def blobs(self) -> list[tuple[Digest, int]]:
        """Digests and sizes, documents first, layers in the order of their images."""
        return [*self._sizes.items(), *self._layers.items()]

    def _add(self, reference: Reference | None, digest: Digest) -> None:
        raw = self._store.read(digest, MAX_DOCUMENT)
        target = parse_manifest_or_index(raw)
        marks = (*self._annotations, *documents.name_annotations(reference))
        entry = target.descriptor.replace(annotations=marks)
        self._sizes[digest] = len(raw)
        if isinstance(target, Index):
            chosen = self._add_index(target)
        else:
            chosen = target
            self._add_manifest(target)
            if target.is_image:
                config = Image.read(self._store, digest).config
                entry = entry.replace(platform=config.platform)
        self._entries.append(entry)
        if chosen is not None and chosen.is_image:
            image = Image.read(self._store, chosen.digest)
            names = self._docker.setdefault(image.id, (image, []))[1]
            if reference is not None and reference.tag and reference not in names:
                names.append(reference.replace(digest=None))

    def _add_index(self, index: Index) -> Manifest | None:
        """Everything of an index that is here; the manifest for our platform if it is."""
        here: dict[Digest, Manifest] = {}
        for entry in index.manifests:
            if not self._store.exists(entry.digest):
                continue
            child = parse_manifest_or_index(
                self._store.read(entry.digest, MAX_DOCUMENT), entry.media_type
            )
            if isinstance(child, Manifest) and self._is_complete(child):
                self._sizes[entry.digest] = len(child.raw)
                self._add_manifest(child)
                if entry.annotation("vnd.docker.reference.type") != "attestation-manifest":
                    here[entry.digest] = child
        if not here:
            raise NotFound(f"no image of the index {index.digest.short} is in the store")
        try:
            chosen = here.get(index.select(self._platform).digest)
        except NotFound:
            chosen = None
        return chosen or next((m for m in here.values() if m.is_image), None)

    def _is_complete(self, manifest: Manifest) -> bool:
        return all(self._store.exists(d.digest) for d in (manifest.config, *manifest.layers))

    def _add_manifest(self, manifest: Manifest) -> None:
        self._put(manifest.config, self._sizes)
        for layer in manifest.layers:
            self._put(layer, self._layers)

    def _put(self, blob: Descriptor, into: dict[Digest, int]) -> None:
        if not self._store.exists(blob.digest):
            raise NotFound(
                f"the content {blob.digest} of the image is not in the store",
                hint="pull the image again, or run: kobako system fsck",
            )
        size = self._store.size(blob.digest)
        if size != blob.size:
            raise Unavailable(f"{blob.digest} has {size} bytes where {blob.size} were expected")
        if blob.digest not in self._sizes and blob.digest not in self._layers:
            into[blob.digest] = size
