"""Archives made to hurt: refused by name, and nothing written outside the store."""

from __future__ import annotations

import io
import json
import os
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from image_tars import tar_of

from kobako.errors import Corrupt, Invalid, KobakoError, NotFound
from kobako.image.archive.load import load
from kobako.image.archive.save import save
from kobako.image.mutate import Image
from kobako.oci.digest import Digest
from kobako.oci.reference import Reference
from kobako.store import ContentStore

MakeImage = Callable[..., Image]
LAYER = tar_of({"hello": b"hello"})


class Archive:
    """A docker-archive put together member by member."""

    def __init__(self) -> None:
        self._sink = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._sink, mode="w", format=tarfile.PAX_FORMAT)

    def file(self, name: str, data: bytes) -> Archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self._tar.addfile(info, io.BytesIO(data))
        return self

    def special(self, name: str, kind: bytes, target: str = "") -> Archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        self._tar.addfile(info)
        return self

    def document(self, name: str, value: Any) -> Archive:
        return self.file(name, json.dumps(value).encode())

    def bytes(self) -> bytes:
        self._tar.close()
        return self._sink.getvalue()


def config(*tars: bytes) -> dict[str, Any]:
    diff_ids = [str(Digest.of(tar)) for tar in tars]
    return {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }


def listing(**changes: Any) -> list[dict[str, Any]]:
    return [{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l.tar"], **changes}]


def whole() -> Archive:
    return Archive().document("c.json", config(LAYER)).file("l.tar", LAYER)


def refused(blobs: ContentStore, archive: Archive, kind: type[KobakoError], message: str) -> None:
    raw = archive.bytes()
    for stream in (io.BytesIO(raw), _pipe(raw)):
        with pytest.raises(kind, match=message):
            load(blobs, stream)


def _pipe(raw: bytes) -> Any:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    return Pipe(raw)


def test_the_whole_one_is_taken(blobs: ContentStore) -> None:
    raw = whole().document("manifest.json", listing()).bytes()
    assert load(blobs, io.BytesIO(raw))[0].references == (Reference.parse("a:1"),)


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b", ".."])
def test_names_that_leave_the_archive(blobs: ContentStore, name: str) -> None:
    refused(blobs, whole().file(name, b"x"), Invalid, "not inside it")
    archive = whole().document("manifest.json", listing(Layers=[name]))
    refused(blobs, archive, Invalid, "not inside it")


@pytest.mark.parametrize("target", ["../../../etc/passwd", "/etc/passwd"])
def test_links_that_leave_the_archive(blobs: ContentStore, target: str) -> None:
    archive = whole().special("a/layer.tar", tarfile.SYMTYPE, target)
    archive.document("manifest.json", listing(Layers=["a/layer.tar"]))
    refused(blobs, archive, Invalid, "not inside it|link out of it")


def test_links_that_lead_nowhere_or_in_circles(blobs: ContentStore) -> None:
    archive = whole().special("x", tarfile.SYMTYPE, "y").special("y", tarfile.SYMTYPE, "x")
    refused(blobs, archive.document("manifest.json", listing(Layers=["x"])), Invalid, "to itself")
    archive = whole().special("x", tarfile.SYMTYPE, "gone")
    refused(blobs, archive.document("manifest.json", listing(Layers=["x"])), NotFound, "x")


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_have_no_place_in_it(blobs: ContentStore, kind: bytes) -> None:
    refused(blobs, whole().special("l2.tar", kind), Invalid, "neither a file")


def test_a_name_told_twice(blobs: ContentStore) -> None:
    refused(blobs, whole().file("l.tar", b"other"), Invalid, "holds l.tar twice")


def test_missing_members_are_named(blobs: ContentStore) -> None:
    refused(blobs, Archive().document("manifest.json", listing()), NotFound, "c.json")
    archive = Archive().document("c.json", config(LAYER)).document("manifest.json", listing())
    refused(blobs, archive, NotFound, "l.tar")
    refused(blobs, Archive().file("readme", b"x"), Invalid, "holds no image")
    refused(blobs, whole().document("manifest.json", listing(Layers=[])), Invalid, "names 0 layers")


def test_a_layer_with_another_digest(blobs: ContentStore) -> None:
    archive = Archive().document("c.json", config(LAYER)).file("l.tar", LAYER + bytes(512))
    refused(blobs, archive.document("manifest.json", listing()), Corrupt, "its digest is")


def test_a_blob_with_another_digest(
    blobs: ContentStore, make_image: MakeImage, another: Callable[[], ContentStore]
) -> None:
    for size in (100, 3 << 20):
        layer = tar_of({"x": os.urandom(size)})
        image = make_image(layer)
        sink = io.BytesIO()
        save(blobs, [(None, image.manifest.digest)], sink, "oci")
        raw = bytearray(sink.getvalue())
        raw[raw.index(layer) + 600] ^= 1
        for stream in (io.BytesIO(bytes(raw)), _pipe(bytes(raw))):
            other = another()
            with pytest.raises(Corrupt):
                load(other, stream)
            assert not other.exists(Digest.of(layer))


def test_absurd_documents(blobs: ContentStore) -> None:
    huge = b"[" + b" " * (9 << 20) + b"]"
    refused(blobs, whole().file("manifest.json", huge), Invalid, "too many for a document")
    deep = b"[" * 200_000 + b"]" * 200_000
    refused(blobs, whole().file("manifest.json", deep), Invalid, "malformed manifest.json")
    archive = Archive().file("c.json", b" " * (9 << 20)).document("manifest.json", listing())
    refused(blobs, archive, Invalid, "too many for a document")


@pytest.mark.parametrize(
    "value", [{}, 1, [1], [{}], [{"Config": 1}], [{"Config": "c", "Layers": 1}]]
)
def test_a_malformed_manifest(blobs: ContentStore, value: Any) -> None:
    refused(blobs, whole().document("manifest.json", value), Invalid, "malformed manifest.json")


def test_sizes_that_lie(blobs: ContentStore) -> None:
    header = bytearray(whole().bytes()[:512])
    header[124:136] = b"\x80" + bytes(3) + b"\x7f" * 8
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    for stream in (io.BytesIO(bytes(header)), _pipe(bytes(header))):
        with pytest.raises(Invalid, match="absurd size"):
            load(blobs, stream)


def test_mutated_archives_never_escape(
    blobs: ContentStore, make_image: MakeImage, tmp_path: Path
) -> None:
    image = make_image(LAYER, tar_of({"b": b"b" * 5000}))
    originals = [whole().document("manifest.json", listing()).bytes()]
    for kind in ("docker", "oci"):
        sink = io.BytesIO()
        save(blobs, [(Reference.parse("a:1"), image.manifest.digest)], sink, kind)
        originals.append(sink.getvalue())
    random_ = random.Random(20)
    before = _outside(tmp_path)
    outcomes = set()
    for _ in range(1500):
        raw = bytearray(random_.choice(originals))
        for _ in range(random_.randint(1, 4)):
            _mutate(raw, random_)
        try:
            load(blobs, _pipe(bytes(raw)) if random_.random() < 0.5 else io.BytesIO(bytes(raw)))
            outcomes.add("loaded")
        except KobakoError as refusal:
            outcomes.add(type(refusal).__name__)
            assert str(refusal)
    assert {"Invalid", "Corrupt", "loaded"} <= outcomes
    for digest in blobs:
        with blobs.open(digest) as content:
            content.read()  # raises when the bytes are not the digest's
    assert _outside(tmp_path) == before


def _mutate(raw: bytearray, random_: random.Random) -> None:
    at = random_.randrange(len(raw))
    how = random_.randrange(5)
    if how == 0:
        raw[at] ^= 1 << random_.randrange(8)
    elif how == 1:
        del raw[at:]
        raw += bytes(1)
    elif how == 2:  # a header, with its checksum put right
        block = at // 512 * 512
        position = block + random_.choice([0, 100, 124, 156, 157, 345]) + random_.randrange(8)
        if position < len(raw):
            raw[position] = random_.choice(b"/.0123457xLKg\0\xff\x80")
        header = raw[block : block + 512]
        if len(header) == 512:
            header[148:156] = b" " * 8
            raw[block + 148 : block + 156] = b"%06o\0 " % sum(header)
    elif how == 3:
        raw[at : at + 512] = raw[:512]
    else:
        text = random_.choice([b'"', b"../", b"null", b"[", b"9" * 30, b"sha256:"])
        found = raw.find(b'"', at)
        if found >= 0:
            raw[found : found + len(text)] = text


def _outside(tmp_path: Path) -> set[str]:
    return {
        str(path.relative_to(tmp_path))
        for path in tmp_path.rglob("*")
        if "store" not in path.relative_to(tmp_path).parts[:1]
    }
