"""The form caches travel in, and what is asked for on the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kobako.build import cache_records
from kobako.build.cache_records import CacheLayer, CacheRecord
from kobako.build.cache_spec import (
    CacheForm,
    InlineCache,
    LocalCache,
    RegistryCache,
    parse_from,
    parse_to,
)
from kobako.errors import Invalid, KobakoError, Unsupported
from kobako.oci import Descriptor, Digest, Index, Manifest, mediatypes


def key(number: int) -> str:
    return Digest.of(b"key %d" % number).encoded


def layer(number: int, here: bool = True) -> CacheLayer:
    blob = Descriptor(mediatypes.OCI_LAYER_GZIP, Digest.of(b"blob %d" % number), 100 + number)
    return CacheLayer(Digest.of(b"diff %d" % number), blob, here)


RECORDS = (
    CacheRecord(key(1), 10, layer(1)),
    CacheRecord(key(2), 20),
    CacheRecord(key(3), 30, layer(2, here=False)),
    CacheRecord(key(4), 30, layer(1)),
)


def in_order(records: list[CacheRecord] | tuple[CacheRecord, ...]) -> list[CacheRecord]:
    return sorted(records, key=lambda record: record.key)


@pytest.mark.parametrize(("index", "docker"), [(False, False), (True, False), (True, True)])
def test_records_come_back(index: bool, docker: bool) -> None:
    raw, top = cache_records.envelope(RECORDS, index=index, docker=docker)
    assert isinstance(top, Index if index else Manifest)
    pointer = cache_records.config_of(top)
    assert pointer is not None
    assert (pointer.digest, pointer.size) == (Digest.of(raw), len(raw))
    assert in_order(cache_records.parse(raw, top)) == in_order(RECORDS)
    blobs = top.manifests if isinstance(top, Index) else top.layers
    assert [b.digest for b in blobs if b != pointer] == [layer(1).blob.digest]
    assert cache_records.envelope(RECORDS[::-1], index=index, docker=docker) == (raw, top)


def test_the_config_has_the_form_of_buildkit_s() -> None:
    document = json.loads(cache_records.config(RECORDS[:1]))
    assert document == {
        "layers": [
            {
                "blob": str(layer(1).blob.digest),
                "parent": -1,
                "annotations": {
                    "mediaType": mediatypes.OCI_LAYER_GZIP,
                    "diffID": str(layer(1).diff_id),
                    "size": 101,
                },
            }
        ],
        "records": [
            {"digest": f"sha256:{key(1)}", "kobako": {"epoch": 10}, "layers": [{"layer": 0}]}
        ],
    }


def test_an_image_carries_records() -> None:
    own = [(layer(1).diff_id, layer(1).blob)]
    text = cache_records.inline(RECORDS, own)
    found = cache_records.parse_inline({cache_records.INLINE_KEY: text}, own)
    assert in_order(found) == in_order(RECORDS)
    assert cache_records.parse_inline({}, own) == []
    with pytest.raises(Invalid):
        cache_records.parse_inline({cache_records.INLINE_KEY: "%%%"}, own)


def test_rows_are_records_or_something_else() -> None:
    for record in RECORDS:
        found = cache_records.record_of(record.key, record.document())
        assert found is not None
        assert found.document() == record.document()
    assert cache_records.record_of("context:/src", {"files": {}}) is None
    assert cache_records.record_of(key(1), {"kind": "checks", "warnings": []}) is None


def test_another_builder_s_records_are_passed_over() -> None:
    raw, top = cache_records.envelope(RECORDS)
    document = json.loads(raw)
    for record in document["records"]:
        del record["kobako"]
    document["records"].append({"digest": "sha256:x", "inputs": [[{"link": 0}]]})
    assert cache_records.parse(json.dumps(document).encode(), top) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("layers", 0, "blob"), "sha256:short"),
        (("layers", 0, "annotations", "diffID"), None),
        (("layers", 0, "annotations", "size"), 5),  # not what the manifest says
        (("layers", 0, "annotations", "size"), -1),
        (("layers", 0, "annotations", "mediaType"), "text/html"),
        (("records", 0, "layers", 0, "layer"), 7),
        (("records", 0, "layers", 0, "layer"), -1),
        (("records", 0, "digest"), "sha256:../../etc"),
        (("records", 0, "kobako", "epoch"), True),
        (("records", 0, "kobako", "epoch"), 1 << 80),
    ],
)
def test_what_does_not_fit_is_left_out(path: tuple[Any, ...], value: object) -> None:
    raw, top = cache_records.envelope(RECORDS[:1])
    document = json.loads(raw)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert cache_records.parse(json.dumps(document).encode(), top) == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "layers records digest kobako epoch layer blob annotations size diffID"
                " elsewhere".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_any_document_is_read_or_refused(document: Any) -> None:
    _, top = cache_records.envelope(RECORDS)
    try:
        cache_records.parse(json.dumps(document).encode(), top)
    except KobakoError as error:
        assert error.message
    encoded = json.dumps([document, document]).encode()
    import base64

    cache_records.parse_inline(
        {cache_records.INLINE_KEY: base64.b64encode(encoded).decode()},
        [(layer(1).diff_id, layer(1).blob)],
    )


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b"{", b"[" * 100_000, b'{"records": 1}'])
def test_garbage_is_refused(raw: bytes) -> None:
    _, top = cache_records.envelope(RECORDS)
    with pytest.raises(Invalid):
        cache_records.parse(raw, top)


def test_what_is_asked_for() -> None:
    assert parse_from(["a/b:c,d", "type=local,src=x,tag=y", "type=registry,ref=r"]) == (
        RegistryCache("a/b:c"), RegistryCache("d"), LocalCache("x", "y"), RegistryCache("r"),
    )  # fmt: skip
    assert parse_to(["r", "type=inline", "type=local,dest=d,mode=max,compression=zstd"]) == (
        RegistryCache("r"),
        InlineCache(),
        LocalCache("d", form=CacheForm(True, compression="zstd")),
    )  # fmt: skip
    old = "type=registry,ref=r,oci-mediatypes=false,ignore-error=true,registry.insecure=true"
    assert parse_to([old]) == (
        RegistryCache("r", True, CacheForm(index=True, docker=True, ignore_error=True)),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("type=registry", "ref is missing"),
        ("type=local", "dest is missing"),
        ("type=nfs,ref=x", "one of registry, local, inline"),
        ("ref=x", "type required"),
        ("type=registry,ref=x,mode=most", "mode is min or max"),
        ("type=registry,ref=x,image-manifest=true,oci-mediatypes=false", "needs oci-mediatypes"),
        ("type=registry,ref=x,compression=zstd,compression-level=99", "no level of zstd"),
        ("type=registry,ref=x,ignore-error=perhaps", "true or false"),
        ("type=registry,ref=x,colour=red", "unknown key colour"),
        ('type=registry,ref="x', "quote"),
    ],
)
def test_what_makes_no_sense(text: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        parse_to([text])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("type=gha", "type=registry, type=local, type=inline"),
        ("type=s3,bucket=b", "type=registry, type=local, type=inline"),
        ("type=inline,mode=max", "type=registry,mode=max"),
        ("type=registry,ref=x,compression=estargz", "estargz"),
    ],
)
def test_what_is_not_done_here(text: str, says: str) -> None:
    with pytest.raises(Unsupported) as refused:
        parse_to([text])
    assert says in f"{refused.value} {refused.value.hint}"
    with pytest.raises(Unsupported):
        parse_from(["type=inline"])
