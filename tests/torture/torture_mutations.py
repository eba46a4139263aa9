"""`python torture_mutations.py KIND COUNT CAGE`: COUNT inputs gone wrong, always the same ones.

Each must end well or in an error of ours that says something; anything else ends this process with
a traceback and the number of the input. KIND is `tarballs` (unpacked below CAGE) or `manifests`
(read as what a registry answers and as an image of a store in CAGE). Prints how many ended how.
"""

from __future__ import annotations

import copy
import io
import json
import os
import random
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from typing import Any

from kobako.errors import KobakoError
from kobako.image.mutate import Image
from kobako.layer import codec
from kobako.layer.apply import apply
from kobako.linux import userns
from kobako.linux.ownership import Owners
from kobako.oci import mediatypes
from kobako.oci.config import ImageConfig
from kobako.oci.descriptor import Descriptor
from kobako.oci.manifest import Index, Manifest, parse_manifest_or_index
from kobako.oci.platform import Platform
from kobako.store import Store

VICTIM = "victim"
"""A file of CAGE that inputs aim at; nobody may change it."""


def tarball(dice: random.Random, cage: str) -> bytes:
    """Every kind of entry, and now and then some that aim outside."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:

        def add(
            name: str, kind: bytes = tarfile.REGTYPE, link: str = "", data: bytes = b""
        ) -> None:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size, entry.mode = kind, link, len(data), 0o755
            entry.mtime = 1_700_000_000.25
            tar.addfile(entry, io.BytesIO(data))

        add("usr/bin", tarfile.DIRTYPE)
        add("usr/bin/tool", data=b"#!" * 700)
        add("usr/bin/hard", tarfile.LNKTYPE, "usr/bin/tool")
        add("bin", tarfile.SYMTYPE, "usr/bin")
        add("bin/other", data=b"x" * 1500)
        add("up", tarfile.SYMTYPE, "../..")
        add("absolute", tarfile.SYMTYPE, f"{cage}/{VICTIM}")
        if dice.random() < 0.1:
            add("up/escaped", data=b"out")
        if dice.random() < 0.5:
            add("absolute", data=b"changed")
        if dice.random() < 0.1:
            add("absolute/below", data=b"changed")
        if dice.random() < 0.1:
            add("hard", tarfile.LNKTYPE, f"../../{VICTIM}")
        add("fifo", tarfile.FIFOTYPE)
        add("null", tarfile.CHRTYPE)
        add("usr/.wh.gone")
        add("usr/.wh..wh..opq")
        add("n/" + "l" * 180, data=b"long")
        add("名前/é", data=b"unicode")
    return sink.getvalue()


def changed_tarball(dice: random.Random, base: bytes) -> bytes:
    data = bytearray(base)
    words = (b"..", b"/", b"../../", b".wh.", b"\xff", b"\0", b"x", b"g", b"L", b"K", b"S", b"7777",
             b"99999999999", b"\x80\xff\xff\xff\xff\xff")  # fmt: skip
    for _ in range(dice.randint(1, 5)):
        block = dice.randrange(len(data) // 512) * 512
        where = block + dice.choice((0, 1, 100, 108, 124, 136, 156, 157, 257, 263, 329, 345, 400))
        piece = dice.choice((*words, dice.randbytes(dice.randint(1, 12))))
        data[where : where + len(piece)] = piece
        header = data[block : block + 512]
        if header[257:262] == b"ustar" and dice.random() < 0.9:
            header[148:156] = b" " * 8
            data[block + 148 : block + 156] = b"%06o\0 " % sum(header)
    if dice.random() < 0.1:
        del data[dice.randrange(len(data)) :]
    form = dice.choice(("plain", "plain", "gzip", "zstd"))
    if form == "plain":
        return bytes(data)
    sink = io.BytesIO()
    writer = codec.open_writer(sink, form)
    writer.write(bytes(data))
    writer.close()
    packed = bytearray(sink.getvalue())
    if dice.random() < 0.5:
        packed[dice.randrange(len(packed))] ^= 1 << dice.randrange(8)
    return bytes(packed)


def tarballs(cage: str) -> Callable[[random.Random], None]:
    form = "native" if os.getuid() == 0 else "emulated"
    if form == "emulated":
        userns.enter_single()

    def one(dice: random.Random) -> None:
        target = f"{cage}/t/{dice.randrange(20)}"
        os.makedirs(target, exist_ok=True)
        fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        try:
            stream, _ = codec.open_reader(io.BytesIO(changed_tarball(dice, tarball(dice, cage))))
            apply(stream, fd, form, Owners(), merge=dice.random() < 0.5)
        finally:
            os.close(fd)

    return one


def changed_document(dice: random.Random, document: Any) -> bytes:
    """One to three values replaced, removed or doubled, and now and then a byte of the text."""
    document = json.loads(json.dumps(document))
    odd = (None, True, -1, 0, 10**30, 1.5, "", "x" * 5000, "sha256:", "../..", "\0", [], {}, [[]],
           "sha256:" + "0" * 64, "\ud800", {"": None})  # fmt: skip
    for _ in range(dice.randint(1, 3)):
        place = document
        while isinstance(place, (dict, list)) and place:
            key = dice.choice(list(place) if isinstance(place, dict) else range(len(place)))
            below = place[key]
            if not isinstance(below, (dict, list)) or not below or dice.random() < 0.2:
                how = dice.randrange(4)
                if how == 0:
                    del place[key]
                elif how == 1 and isinstance(place, list):
                    place *= dice.choice((2, 300))
                else:
                    place[key] = copy.deepcopy(dice.choice(odd))
                break
            place = below
    raw = bytearray(json.dumps(document).encode())
    if dice.random() < 0.2:
        raw[dice.randrange(len(raw))] = dice.randrange(256)
    if dice.random() < 0.05:
        raw = bytearray(b"[" * 100_000) + raw
    return bytes(raw)


def manifests(cage: str) -> Callable[[random.Random], None]:
    store = Store.open(f"{cage}/store")
    blobs = store.blobs
    layer = blobs.put(b"layer")
    config = {
        "os": "linux", "architecture": "amd64", "created": "2026-01-02T03:04:05Z",
        "config": {"Cmd": ["sh"], "Env": ["A=b"], "Labels": {"a": "b"},
                   "ExposedPorts": {"1/tcp": {}}},
        "rootfs": {"type": "layers", "diff_ids": [str(layer)]},
        "history": [{"created": "2026-01-02T03:04:05Z", "created_by": "x"}, {"empty_layer": True}],
    }  # fmt: skip

    def manifest(raw: bytes) -> dict[str, Any]:
        digest = blobs.put(raw)
        built = Manifest.build(
            Descriptor(mediatypes.OCI_CONFIG, digest, len(raw)),
            [Descriptor(mediatypes.OCI_LAYER, layer, 5)],
        )
        found: dict[str, Any] = json.loads(built.raw)
        return found

    whole = manifest(json.dumps(config).encode())
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    descriptor = {
        **whole["config"],
        "mediaType": mediatypes.OCI_MANIFEST,
        "platform": platform,
    }
    index = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": [descriptor] * 2}

    def one(dice: random.Random) -> None:
        kind = dice.randrange(3)
        if kind == 0:
            read = parse_manifest_or_index(changed_document(dice, index))
            if isinstance(read, Index):
                read.select(Platform.host())
        elif kind == 1:
            raw = changed_document(dice, whole)
            read = parse_manifest_or_index(raw)
            if isinstance(read, Manifest):
                image = Image.read(blobs, blobs.put(raw))
                _ = image.id, image.layers, image.size
        else:
            raw = changed_document(dice, config)
            read_config = ImageConfig.parse(raw)
            _ = read_config.platform, read_config.created, read_config.diff_ids
            _ = read_config.history, read_config.config
            Image.read(blobs, blobs.put(json.dumps(manifest(raw)).encode()))

    return one


def main(kind: str, count: int, cage: str) -> None:
    with open(f"{cage}/{VICTIM}", "w") as file:
        file.write("whole")
    one = {"tarballs": tarballs, "manifests": manifests}[kind](cage)
    ends: Counter[str] = Counter()
    for number in range(count):
        try:
            one(random.Random(number))
            ends["good"] += 1
        except KobakoError as error:
            assert str(error).strip(), f"{kind} {number}: an error without a message"
            ends[type(error).__name__] += 1
        except BaseException as error:
            error.add_note(f"{kind} {number}")
            raise
    print(json.dumps(ends))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
