from __future__ import annotations

import hashlib

import pytest

from kobako.errors import Invalid
from kobako.oci import Digest, chain_id
from kobako.oci import digest as module

A = Digest.of(b"a")
B = Digest.of(b"b")


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 200_000])
def test_digest_of_bytes_is_sha256(size: int) -> None:
    data = b"x" * size
    digest = Digest.of(data)
    assert digest == "sha256:" + hashlib.sha256(data).hexdigest()
    assert digest.verifies(data)
    assert not digest.verifies(data + b"y")


def test_parts_of_a_digest() -> None:
    digest = Digest.parse("sha512:" + "ab" * 64)
    assert (digest.algorithm, digest.encoded, digest.short) == ("sha512", "ab" * 64, "ab" * 6)
    assert Digest.of(b"") == Digest.EMPTY


def test_other_algorithms_verify() -> None:
    for name in ("sha384", "sha512"):
        digest = Digest.parse(f"{name}:{hashlib.new(name, b'data').hexdigest()}")
        assert digest.verifies(b"data")
        assert not digest.verifies(b"other")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected algorithm:hex"),
        ("sha256", "expected algorithm:hex"),
        (":" + "a" * 64, "expected algorithm:hex"),
        ("md5:" + "a" * 32, "unsupported"),
        ("sha256:" + "a" * 63, "64 hex digits, not 63"),
        ("sha256:" + "A" * 64, "0-9a-f"),
        ("sha256:" + "a" * 63 + "\n", "0-9a-f"),
        ("sha256:" + "../" * 21 + "a", "0-9a-f"),
        ("sha256:" + "٠" * 64, "0-9a-f"),
    ],
)
def test_malformed_digests_are_refused(text: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        Digest.parse(text)


def test_chain_id_follows_the_specification() -> None:
    c = Digest.of(b"c")
    assert chain_id([A]) == A
    ab = Digest.of(f"{A} {B}".encode())
    assert chain_id([A, B]) == ab
    assert chain_id([A, B, c]) == Digest.of(f"{ab} {c}".encode())
    with pytest.raises(Invalid):
        chain_id([])


def test_names_are_the_same_type() -> None:
    assert module.DiffID is module.ChainID is Digest
