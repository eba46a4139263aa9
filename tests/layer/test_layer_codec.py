"""Compression and decompression against the programs everybody has."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random

import pytest

from kobako.errors import Corrupt, Invalid
from kobako.layer import codec
from kobako.layer.blocks import BLOCK
from kobako.layer.pump import CompressingSink
from kobako.oci import Digest

DATA = random.Random(7).randbytes(300_000) + b"kobako" * 400_000


def compress(name: str, data: bytes = DATA, level: int | None = None) -> bytes:
    sink = io.BytesIO()
    writer = codec.open_writer(sink, name, level)
    for at in range(0, len(data), 70_001):
        writer.write(data[at : at + 70_001])
    writer.close()
    return sink.getvalue()


@pytest.mark.parametrize("name", ["gzip", "zstd", "plain"])
def test_round_trip(name: str) -> None:
    packed = compress(name)
    assert packed == compress(name), "not deterministic"
    stream, found = codec.open_reader(io.BytesIO(packed))
    assert found == name
    assert stream.read() == DATA
    assert stream.read(1) == b""


def test_gzip_is_what_gzip_reads_and_says_nothing_of_us() -> None:
    packed = compress("gzip")
    assert gzip.decompress(packed) == DATA
    assert packed[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


@pytest.mark.parametrize("size", [0, codec.LITTLE, codec.LITTLE + 1, 2 * BLOCK + 1])
def test_a_layer_of_any_size_is_gzip(size: int) -> None:
    data = DATA[-size:] if size else b""

    def packed() -> bytes:
        sink = io.BytesIO()
        with CompressingSink(sink, "gzip") as out:
            for at in range(0, size, 70_001):
                out.write(data[at : at + 70_001])
            out.finish()
        assert (out.digest, out.size) == (Digest.of(sink.getvalue()), len(sink.getvalue()))
        assert (out.diff_id, out.diff_size) == (Digest.of(data), size)
        return sink.getvalue()

    assert packed() == packed(), "not deterministic"
    assert gzip.decompress(packed()) == data


@pytest.mark.parametrize(
    ("name", "pack"), [("gzip", gzip.compress), ("bzip2", bz2.compress), ("xz", lzma.compress)]
)
def test_several_members_are_one_stream(name: str, pack) -> None:
    packed = pack(DATA[:400_000]) + pack(b"") + pack(DATA[400_000:])
    stream, found = codec.open_reader(io.BytesIO(packed))
    assert found == name
    assert stream.read() == DATA


def test_zstd_frames_and_skippable_frames() -> None:
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    packed = skippable + compress("zstd", b"one") + skippable + compress("zstd", b"two")
    stream, found = codec.open_reader(io.BytesIO(packed))
    assert (found, stream.read()) == ("zstd", b"onetwo")


def test_zeros_after_the_last_member_are_padding() -> None:
    stream, _ = codec.open_reader(io.BytesIO(compress("gzip", b"x") + bytes(1000)))
    assert stream.read() == b"x"


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_truncated_and_damaged_input_is_corrupt(name: str) -> None:
    packed = compress(name)
    for bad in (packed[:-1], packed[: len(packed) // 2], packed[:20], packed[:-9] + b"\xa5" * 9):
        stream, _ = codec.open_reader(io.BytesIO(bad))
        with pytest.raises(Corrupt, match=name):
            stream.read()


def test_a_bomb_is_read_piece_by_piece() -> None:
    packed = compress("gzip", bytes(64 << 20))
    stream, _ = codec.open_reader(io.BytesIO(packed))
    assert len(stream.read(10)) == 10


def test_unknown_codecs_and_levels_are_named() -> None:
    with pytest.raises(Invalid, match="lzip"):
        codec.open_writer(io.BytesIO(), "lzip")
    with pytest.raises(Invalid, match="level 10"):
        codec.open_writer(io.BytesIO(), "gzip", 10)
