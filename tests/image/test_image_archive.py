"""Archives, both ways, against ourselves and the tools people use."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from image_tars import tar_of

from kobako.image import mutate
from kobako.image.archive.load import load, load_layout
from kobako.image.archive.root_tar import import_root
from kobako.image.archive.save import export_layout, save
from kobako.image.mutate import Image
from kobako.oci import mediatypes
from kobako.oci.digest import Digest
from kobako.oci.manifest import Index
from kobako.oci.platform import Platform
from kobako.oci.reference import Reference
from kobako.store import ContentStore

MakeImage = Callable[..., Image]
NAME = Reference.parse("me/tool:1.2")
ONE = tar_of({"hello": b"hello", "etc/conf": b"x" * 3000})
BIG = tar_of({"big": b"0123456789abcdef" * (3 << 16)})  # above what a stream keeps in memory


class Pipe(io.RawIOBase):
    """A stream that cannot be sought, and gives odd pieces."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(min(size, 70_001) if size >= 0 else -1)


@pytest.fixture
def empty(another: Callable[[], ContentStore]) -> ContentStore:
    """Another, empty store."""
    return another()


def saved(
    blobs: ContentStore, *images: tuple[Reference | None, Digest], kind: str = "docker"
) -> bytes:
    sink = io.BytesIO()
    save(blobs, images, sink, kind)
    return sink.getvalue()


@pytest.mark.parametrize("kind", ["docker", "oci"])
@pytest.mark.parametrize("opened", [io.BytesIO, Pipe])
def test_what_is_saved_is_loaded(
    blobs: ContentStore,
    empty: ContentStore,
    make_image: MakeImage,
    kind: str,
    opened: Callable[[bytes], BinaryIO],
) -> None:
    image = make_image(ONE, BIG)
    raw = saved(blobs, (NAME, image.manifest.digest), kind=kind)
    [loaded] = load(empty, opened(raw))
    assert loaded.references == (NAME,)
    assert loaded.images == (image,)
    assert Image.read(empty, loaded.target.digest) == image
    assert empty.read(Digest.of(BIG)) == BIG
    assert saved(empty, (NAME, loaded.target.digest), kind=kind) == raw


@pytest.mark.parametrize("compress", [gzip.compress, None])
def test_docker_archives_without_a_layout(
    blobs: ContentStore, empty: ContentStore, make_image: MakeImage, compress: Any
) -> None:
    image = make_image(ONE, ONE, BIG)
    config, manifest = image.config.raw, [
        {
            "Config": f"{image.id.encoded}.json",
            "RepoTags": ["tool:latest", "me/tool:1.2"],
            "Layers": ["a/layer.tar", "b/layer.tar", "c/layer.tar"],
        }
    ]  # fmt: skip
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for name, data in (
            ("a/layer.tar", ONE),
            ("a/VERSION", b"1.0"),
            ("c/layer.tar", compress(BIG) if compress else BIG),
            (f"{image.id.encoded}.json", config),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("b/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../a/layer.tar"
        archive.addfile(link)
    for opened in (io.BytesIO, Pipe):
        [loaded] = load(empty, opened(sink.getvalue()))  # type: ignore[operator]
        assert [r.familiar() for r in loaded.references] == ["tool:latest", "me/tool:1.2"]
        assert loaded.images[0].id == image.id
        types = [d.media_type for d in loaded.images[0].manifest.layers]
        last = mediatypes.OCI_LAYER_GZIP if compress else mediatypes.OCI_LAYER
        assert types == [mediatypes.OCI_LAYER, mediatypes.OCI_LAYER, last]


def test_compressed_archives_are_loaded(
    blobs: ContentStore, empty: ContentStore, make_image: MakeImage
) -> None:
    import bz2
    import lzma

    image = make_image(BIG)
    raw = saved(blobs, (None, image.manifest.digest))
    for compress in (gzip.compress, bz2.compress, lzma.compress):
        for opened in (io.BytesIO, Pipe):
            [loaded] = load(empty, opened(compress(raw)))  # type: ignore[operator]
            assert loaded.references == ()
            assert loaded.images == (image,)


def test_two_images_with_several_names(
    blobs: ContentStore, empty: ContentStore, make_image: MakeImage
) -> None:
    first, second = make_image(ONE), make_image(ONE, BIG)
    more = Reference.parse("localhost:5000/x/tool:2")
    raw = saved(
        blobs,
        (NAME, first.manifest.digest),
        (more, first.manifest.digest),
        (Reference.parse("other:latest"), second.manifest.digest),
    )
    loaded = load(empty, io.BytesIO(raw))
    assert {tuple(r.familiar() for r in one.references): one.images[0].id for one in loaded} == {
        ("me/tool:1.2", "localhost:5000/x/tool:2"): first.id,
        ("other:latest",): second.id,
    }


def test_an_index_keeps_its_platforms(
    blobs: ContentStore, empty: ContentStore, make_image: MakeImage
) -> None:
    platforms = (Platform.host(), Platform("linux", "s390x"))
    images = [make_image(ONE, platform=p) for p in platforms]
    index = Index.build(
        [i.manifest.descriptor.replace(platform=p) for i, p in zip(images, platforms, strict=True)]
    )
    blobs.put(index.raw)
    [loaded] = load(empty, io.BytesIO(saved(blobs, (NAME, index.digest))))
    assert loaded.target.digest == index.digest
    assert loaded.images == tuple(images)
    # One platform missing from the store is left out, as docker does.
    blobs.delete(images[1].manifest.digest)
    raw = saved(blobs, (NAME, index.digest))
    assert [i.id for i in load(empty, io.BytesIO(raw))[0].images] == [images[0].id]


def test_a_layout_directory(
    blobs: ContentStore, empty: ContentStore, make_image: MakeImage, tmp_path: Path
) -> None:
    image = make_image(ONE, BIG)
    export_layout(blobs, [(NAME, image.manifest.digest)], str(tmp_path / "layout"))
    [loaded] = load_layout(empty, str(tmp_path / "layout"))
    assert (loaded.references, loaded.images) == ((NAME,), (image,))


def test_a_layout_is_not_written_through_links(
    blobs: ContentStore, make_image: MakeImage, tmp_path: Path
) -> None:
    image = make_image(ONE)
    outside, layout = tmp_path / "outside", tmp_path / "layout"
    outside.mkdir()
    (outside / "file").write_text("kept")
    layout.mkdir()
    (layout / "index.json").symlink_to(outside / "file")
    export_layout(blobs, [(NAME, image.manifest.digest)], str(layout))
    assert not (layout / "index.json").is_symlink()
    assert (outside / "file").read_text() == "kept"
    (tmp_path / "other").mkdir()
    (tmp_path / "other/blobs").symlink_to(outside)
    with pytest.raises(OSError):
        export_layout(blobs, [(NAME, image.manifest.digest)], str(tmp_path / "other"))
    assert [p.name for p in outside.rglob("*")] == ["file"]


@pytest.mark.parametrize("kind", ["docker", "oci"])
def test_layers_are_handed_to_an_unpacker_while_they_arrive(
    blobs: ContentStore, empty: ContentStore, make_image: MakeImage, kind: str
) -> None:
    image = make_image(ONE, BIG)
    raw = saved(blobs, (NAME, image.manifest.digest), kind=kind)
    seen: dict[Digest | None, bytes] = {}

    def unpack(diff_id: Digest | None, stream: BinaryIO) -> None:
        seen[diff_id] = stream.read()

    load(empty, io.BytesIO(raw), on_layer=unpack)
    assert seen == {Digest.of(ONE): ONE, Digest.of(BIG): BIG}


def test_an_unpacker_may_stop_or_fail(
    blobs: ContentStore, empty: ContentStore, make_image: MakeImage
) -> None:
    huge = tar_of({"huge": bytes(40 << 20)})
    image = make_image(huge)
    raw = saved(blobs, (NAME, image.manifest.digest))

    def fail(diff_id: Digest | None, stream: BinaryIO) -> None:
        stream.read(10)
        raise RuntimeError("no room")

    with pytest.raises(RuntimeError, match="no room"):
        load(empty, io.BytesIO(raw), on_layer=fail)
    assert empty.exists(Digest.of(huge))
    [loaded] = load(empty, Pipe(raw), on_layer=lambda diff_id, stream: None)  # type: ignore[arg-type]
    assert loaded.images == (image,)


# Peers


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_skopeo_reads_what_we_save(
    blobs: ContentStore, make_image: MakeImage, tmp_path: Path, transport: str
) -> None:
    image = make_image(ONE, BIG)
    archive = tmp_path / "image.tar"
    archive.write_bytes(saved(blobs, (NAME, image.manifest.digest)))
    told = json.loads(run("skopeo", "inspect", f"{transport}:{archive}"))
    assert told["Layers"] == [str(Digest.of(ONE)), str(Digest.of(BIG))]
    run("skopeo", "copy", f"{transport}:{archive}", f"dir:{tmp_path}/copy")
    assert (tmp_path / "copy" / image.id.encoded).read_bytes() == image.config.raw


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_we_load_what_skopeo_writes(
    blobs: ContentStore,
    another: Callable[[], ContentStore],
    make_image: MakeImage,
    tmp_path: Path,
    transport: str,
) -> None:
    image = make_image(ONE, BIG)
    export_layout(blobs, [(NAME, image.manifest.digest)], str(tmp_path / "layout"))
    archive = f"{tmp_path}/peer.tar"
    source = f"oci:{tmp_path}/layout:1.2"
    run("skopeo", "copy", source, f"{transport}:{archive}:docker.io/me/tool:1.2")
    with open(archive, "rb") as file:
        [loaded] = load(another(), file)
    assert loaded.references == (NAME,)
    assert loaded.images[0].id == image.id
    again = load(another(), Pipe(Path(archive).read_bytes()))
    assert again[0].images[0].id == image.id


@pytest.mark.needs("umoci")
def test_umoci_unpacks_our_layout(
    blobs: ContentStore, make_image: MakeImage, tmp_path: Path
) -> None:
    image = make_image(ONE, BIG)
    layout = str(tmp_path / "layout")
    export_layout(blobs, [(NAME, image.manifest.digest)], layout)
    assert run("umoci", "list", "--layout", layout).split() == ["1.2"]
    run("umoci", "unpack", "--rootless", "--image", f"{layout}:1.2", f"{tmp_path}/bundle")
    assert (tmp_path / "bundle/rootfs/hello").read_bytes() == b"hello"


@pytest.mark.only("root")
@pytest.mark.needs("podman")
def test_podman_loads_and_saves(
    blobs: ContentStore, empty: ContentStore, make_image: MakeImage, tmp_path: Path
) -> None:
    image = make_image(ONE, BIG)
    archive = tmp_path / "ours.tar"
    archive.write_bytes(saved(blobs, (NAME, image.manifest.digest)))
    own = tempfile.mkdtemp(prefix="kobako-podman-")  # podman wants a path below 50 characters
    podman = ["podman", "--root", f"{own}/root", "--runroot", f"{own}/run"]
    podman += ["--storage-driver", "vfs"]
    try:
        run(*podman, "load", "-i", str(archive))
        assert image.id.short in run(*podman, "images", "-q", "--no-trunc")
        for kind in ("docker-archive", "oci-archive"):
            name = f"{tmp_path}/{kind}.tar"
            run(*podman, "save", "--format", kind, "-o", name, "docker.io/me/tool:1.2")
            with open(name, "rb") as file:
                [loaded] = load(empty, file)
            assert loaded.references == (NAME,)
            # podman writes the config anew, but the layers' content is the same
            assert loaded.images[0].config.diff_ids == image.config.diff_ids
    finally:
        shutil.rmtree(own, ignore_errors=True)


# Root filesystems


def test_import_makes_one_layer(blobs: ContentStore) -> None:
    image = import_root(
        blobs,
        io.BytesIO(gzip.compress(ONE)),
        Platform.host(),
        created="2026-01-02T03:04:05Z",
        changes=["CMD /hello", "ENV A=1"],
        message="from a tar",
    )
    assert image.config.diff_ids == (Digest.of(ONE),)
    assert image.config.config == {"Cmd": ["/bin/sh", "-c", "/hello"], "Env": ["A=1"]}
    assert image.config.data["comment"] == "from a tar"
    assert image.config.history[0].comment == "from a tar"
    assert Image.read(blobs, image.manifest.digest) == image


def test_import_refuses_what_is_no_tar(blobs: ContentStore) -> None:
    from kobako.errors import Invalid

    for data in (b"", b"hello", b"x" * 2000):
        with pytest.raises(Invalid, match="not a tar archive"):
            import_root(blobs, io.BytesIO(data), Platform.host(), created="")
    with pytest.raises(Invalid, match="RUN is not a valid change"):
        import_root(blobs, io.BytesIO(ONE), Platform.host(), created="", changes=["RUN x"])


def test_the_compressed_form_keeps_the_id(blobs: ContentStore, make_image: MakeImage) -> None:
    from kobako.image.compress import compressed, is_compressed

    image = make_image(ONE, BIG)
    assert not is_compressed(image)
    packed = compressed(blobs, image)
    assert is_compressed(packed)
    assert packed.id == image.id
    assert packed == compressed(blobs, image)
    assert packed == compressed(blobs, packed)
    layer = packed.manifest.layers[1]
    assert gzip.decompress(blobs.read(layer.digest)) == BIG
    assert Image.read(blobs, packed.manifest.digest) == packed
    known = dict(zip(image.config.diff_ids, packed.manifest.layers, strict=True))
    assert compressed(blobs, image, "zstd", known=known.get) == packed
    assert mutate.with_layers(packed, image.manifest.layers) == image


@pytest.mark.only("root")
def test_layers_are_unpacked_into_trees_while_they_arrive(
    blobs: ContentStore, empty: ContentStore, make_image: MakeImage, tmp_path: Path
) -> None:
    from kobako.errors import Corrupt
    from kobako.snapshot.trees import LayerTrees

    image = make_image(ONE, BIG)
    raw = saved(blobs, (NAME, image.manifest.digest))
    trees = LayerTrees(str(tmp_path / "layers"), "native")

    def unpack(diff_id: Digest | None, stream: BinaryIO) -> None:
        if diff_id is not None:
            trees.unpack(diff_id, lambda: stream)

    damaged = bytearray(raw)
    damaged[raw.index(BIG) + len(BIG) // 2] ^= 1
    with pytest.raises(Corrupt):
        load(empty, io.BytesIO(bytes(damaged)), on_layer=unpack)
    assert not trees.has(Digest.of(BIG))
    load(empty, Pipe(raw), on_layer=unpack)
    assert trees.has(Digest.of(BIG))
    assert (Path(trees.path(Digest.of(BIG))) / "big").stat().st_size == 3 << 20
