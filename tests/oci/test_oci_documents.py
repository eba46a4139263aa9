from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kobako.errors import Corrupt, Invalid, NotFound
from kobako.oci import (
    Descriptor,
    Digest,
    ImageConfig,
    Index,
    Manifest,
    Platform,
    mediatypes,
    parse_manifest_or_index,
)
from kobako.oci.document import MAX_DOCUMENT

D = str(Digest.of(b"x"))


def manifest_document(**changes: Any) -> dict[str, Any]:
    document = {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_MANIFEST,
        "config": {"mediaType": mediatypes.OCI_CONFIG, "digest": D, "size": 7},
        "layers": [{"mediaType": mediatypes.OCI_LAYER_GZIP, "digest": D, "size": 12}],
    }
    document.update(changes)
    return {key: value for key, value in document.items() if value is not ...}


def index_document(**changes: Any) -> dict[str, Any]:
    entry = {"mediaType": mediatypes.OCI_MANIFEST, "digest": D, "size": 7}
    amd64 = {**entry, "platform": {"os": "linux", "architecture": "amd64"}}
    arm = {**entry, "size": 8, "platform": {"os": "linux", "architecture": "arm", "variant": "v6"}}
    proof = {**entry, "size": 9, "platform": {"os": "unknown", "architecture": "unknown"}}
    document = {"schemaVersion": 2, "manifests": [proof, amd64, arm]}
    document.update(changes)
    return document


def config_document(**changes: Any) -> dict[str, Any]:
    document = {
        "architecture": "arm64",
        "variant": "v8",
        "os": "linux",
        "created": "2024-01-02T03:04:05.678Z",
        "config": {"Env": ["A=b"], "Cmd": ["sh"], "Labels": None, "ExposedPorts": {"80/tcp": {}}},
        "rootfs": {"type": "layers", "diff_ids": [D]},
        "history": [{"created_by": "x", "empty_layer": True}, {"created_by": "y"}],
    }
    document.update(changes)
    return {key: value for key, value in document.items() if value is not ...}


def raw(document: Any) -> bytes:
    return json.dumps(document, indent=3).encode()


def test_bytes_are_kept_and_digested() -> None:
    data = raw(manifest_document())
    manifest = Manifest.parse(data)
    assert manifest.raw == data
    assert manifest.digest == Digest.of(data)
    assert manifest.descriptor.size == len(data)
    assert manifest.config.digest == D
    assert [layer.size for layer in manifest.layers] == [12]
    assert manifest.is_image


def test_media_types_come_from_the_document_the_header_or_the_shape() -> None:
    bare = raw(manifest_document(mediaType=...))
    assert parse_manifest_or_index(bare).media_type == mediatypes.OCI_MANIFEST
    docker = parse_manifest_or_index(bare, mediatypes.DOCKER_MANIFEST + "; charset=utf-8")
    assert docker.media_type == mediatypes.DOCKER_MANIFEST
    assert parse_manifest_or_index(bare, "application/json").media_type == mediatypes.OCI_MANIFEST
    assert isinstance(parse_manifest_or_index(raw(index_document())), Index)
    with pytest.raises(Invalid, match="contradicts"):
        parse_manifest_or_index(raw(manifest_document()), mediatypes.DOCKER_MANIFEST)
    with pytest.raises(Invalid, match="found an index"):
        Manifest.parse(raw(index_document()))
    with pytest.raises(Invalid, match="found a manifest"):
        Index.parse(raw(manifest_document()))


def test_a_document_of_two_meanings_is_refused() -> None:
    both = {**manifest_document(mediaType=...), **index_document()}
    with pytest.raises(Invalid, match='both "manifests"'):
        parse_manifest_or_index(raw(both))
    with pytest.raises(Invalid, match="has none"):
        parse_manifest_or_index(raw(index_document()), mediatypes.OCI_MANIFEST)


@pytest.mark.parametrize("media_type", mediatypes.SCHEMA1)
def test_schema_1_is_refused_by_name(media_type: str) -> None:
    old = {"schemaVersion": 1, "name": "x", "fsLayers": []}
    for data, said in ((old, ""), (old, media_type), ({**old, "mediaType": media_type}, "")):
        with pytest.raises(Invalid, match="schema 1 is not supported") as caught:
            parse_manifest_or_index(raw(data), said)
        assert caught.value.hint


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (manifest_document(config=...), r"\$\.config: missing"),
        (manifest_document(config={"digest": "sha256:abc", "size": 1}), r"\$\.config\.digest: "),
        (manifest_document(config={"digest": D}), r"\$\.config\.size: missing"),
        (manifest_document(layers={}), r"\$\.layers: expected an array, found an object"),
        (manifest_document(layers=[{"digest": D, "size": -1}]), r"\$\.layers\[0\]\.size: .*range"),
        (manifest_document(layers=[{"digest": D, "size": 2**63}]), r"\$\.layers\[0\]\.size"),
        (manifest_document(layers=[{"digest": D, "size": True}]), "an integer, found true"),
        (manifest_document(layers=[{"digest": D, "size": 1.5}]), "an integer, found a number"),
        (manifest_document(layers=[7]), r"\$\.layers\[0\]: expected an object"),
        (manifest_document(annotations={"a": 1}), r"\$\.annotations\.a: expected a string"),
        (manifest_document(schemaVersion=3), r"\$\.schemaVersion: unknown version 3"),
        (manifest_document(schemaVersion="2"), r"\$\.schemaVersion: expected an integer"),
        (manifest_document(mediaType="text/html"), r"\$\.mediaType: "),
        (manifest_document(mediaType="\x1b[2J"), r"'\\x1b\[2J' is neither"),
        (manifest_document(subject={"digest": 1}), r"\$\.subject\.digest"),
        (index_document(manifests=[{"digest": D}]), r"\$\.manifests\[0\]\.size"),
    ],
)
def test_faults_are_named_by_their_path(document: Any, where: str) -> None:
    with pytest.raises(Invalid, match=where):
        parse_manifest_or_index(raw(document))


def test_embedded_content_is_verified() -> None:
    data = base64.b64encode(b"x").decode()
    good = {"mediaType": "a/b", "digest": D, "size": 1, "data": data}
    assert Manifest.parse(raw(manifest_document(config=good))).config.data == b"x"
    for bad in ({**good, "size": 2}, {**good, "data": "eQ=="}, {**good, "data": "!"}):
        with pytest.raises(Invalid, match=r"\$\.config\.data"):
            Manifest.parse(raw(manifest_document(config=bad)))


def test_platforms_are_selected() -> None:
    index = Index.parse(raw(index_document()))
    assert index.select(Platform.parse("amd64")).size == 7
    assert index.select(Platform.parse("arm/v7")).size == 8
    with pytest.raises(NotFound, match="no matching manifest for linux/s390x") as caught:
        index.select(Platform.parse("s390x"))
    assert caught.value.hint == "there is one for: linux/amd64, linux/arm/v6"
    alone = Index.build([Descriptor(mediatypes.OCI_MANIFEST, Digest(D), 1)])
    assert alone.select(Platform.parse("s390x")).size == 1


def test_the_exact_platform_beats_the_nearly_right_one() -> None:
    def entry(platform: str, size: int) -> Descriptor:
        return Descriptor(mediatypes.OCI_MANIFEST, Digest(D), size, Platform.parse(platform))

    index = Index.build(
        [entry("386", 1), entry("arm/v5", 2), entry("arm/v6", 3), entry("amd64", 4)]
    )
    assert index.select(Platform.parse("amd64")).size == 4
    assert index.select(Platform.parse("arm/v7")).size == 3
    assert Index.parse(index.raw) == index


def test_built_manifests_read_back_and_are_deterministic() -> None:
    config = Descriptor(mediatypes.OCI_CONFIG, Digest(D), 7)
    layer = Descriptor(
        mediatypes.OCI_LAYER_GZIP, Digest(D), 9, annotations=(("a", "1"), ("b", "é"))
    )
    marks = [("z", "1"), ("a", "2")]
    manifest = Manifest.build(config, [layer], annotations=marks, subject=config)
    assert manifest == Manifest.build(config, [layer], annotations=marks[::-1], subject=config)
    assert Manifest.parse(manifest.raw) == manifest
    assert json.loads(manifest.raw)["schemaVersion"] == 2
    assert layer.annotation("b") == "é"


def test_layers_take_the_manifest_family() -> None:
    config = Descriptor(mediatypes.OCI_CONFIG, Digest(D), 7)
    layer = Descriptor(mediatypes.OCI_LAYER_GZIP, Digest(D), 9)
    docker = Manifest.build(config, [layer], media_type=mediatypes.DOCKER_MANIFEST)
    assert docker.media_type == mediatypes.DOCKER_MANIFEST
    assert docker.config.media_type == mediatypes.DOCKER_CONFIG
    assert docker.layers[0].media_type == mediatypes.DOCKER_LAYER_GZIP
    oci = Manifest.build(docker.config, docker.layers)
    assert (oci.config, oci.layers) == (config, (layer,))
    zstd = layer.replace(media_type=mediatypes.OCI_LAYER_ZSTD)
    both = Manifest.build(docker.config, [*docker.layers, zstd], media_type=docker.media_type)
    assert both.media_type == mediatypes.OCI_MANIFEST
    assert both.layers == (layer, zstd)


def test_configs() -> None:
    data = raw(config_document())
    config = ImageConfig.parse(data)
    assert config.digest == Digest.of(data)
    assert str(config.platform) == "linux/arm64/v8"
    assert config.config == {"Env": ["A=b"], "Cmd": ["sh"], "ExposedPorts": {"80/tcp": {}}}
    assert config.diff_ids == (D,)
    assert [step.empty_layer for step in config.history] == [True, False]
    assert config.history[1].to_json() == {"created_by": "y"}
    assert config.created == "2024-01-02T03:04:05.678Z"
    again = config.document()
    again["config"]["Env"].append("C=d")
    assert config.config["Env"] == ["A=b"]
    assert ImageConfig.build(again).config["Env"] == ["A=b", "C=d"]


def test_built_configs_do_not_depend_on_key_order() -> None:
    document = config_document()
    backwards = dict(reversed(document.items()))
    assert ImageConfig.build(document).raw == ImageConfig.build(backwards).raw
    assert ImageConfig.build(document) == ImageConfig.build(backwards)


def test_a_lone_string_is_a_list_of_one() -> None:
    config = ImageConfig.parse(raw(config_document(config={"Cmd": "top", "Entrypoint": None})))
    assert config.config == {"Cmd": ["top"]}


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (config_document(rootfs=...), r"\$\.rootfs: missing"),
        (config_document(rootfs={"type": "disk"}), r"\$\.rootfs\.type"),
        (config_document(rootfs={"type": "layers", "diff_ids": ["x"]}), r"diff_ids\[0\]: invalid"),
        (config_document(config={"Env": ["A", 1]}), r"\$\.config\.Env\[1\]: expected a string"),
        (config_document(config={"Cmd": {}}), r"\$\.config\.Cmd: expected an array"),
        (config_document(config={"Labels": {"a": 1}}), r"\$\.config\.Labels\.a"),
        (config_document(config={"Volumes": []}), r"\$\.config\.Volumes: expected an object"),
        (config_document(config={"Healthcheck": {"Retries": "x"}}), r"Healthcheck\.Retries"),
        (config_document(config={"ArgsEscaped": 1}), r"\$\.config\.ArgsEscaped"),
        (config_document(config=[]), r"\$\.config: expected an object"),
        (config_document(history=[{"empty_layer": 0}]), r"\$\.history\[0\]\.empty_layer"),
        (config_document(created=5), r"\$\.created: expected a string"),
        ([], r"\$: expected an object, found an array"),
    ],
)
def test_faults_of_configs_are_named_by_their_path(document: Any, where: str) -> None:
    with pytest.raises(Invalid, match=where):
        ImageConfig.parse(raw(document))


def test_what_is_not_json_or_too_large_is_refused() -> None:
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    surrogate = b'{"schemaVersion": 2, "x": "\\udc80"}'
    for data in (b"", b"{", b"\xff{}", b"{}{}", b'{"a": NaN}', deep, surrogate, b"\xef\xbb\xbf{}"):
        for parse in (parse_manifest_or_index, ImageConfig.parse):
            with pytest.raises(Invalid, match="malformed"):
                parse(data)
    with pytest.raises(Invalid, match="too many"):
        ImageConfig.parse(b" " * (MAX_DOCUMENT + 1))


def survives(data: bytes) -> None:
    """Whatever the bytes: parsed, or refused with an error of ours; what parsed can be rebuilt."""
    try:
        found = parse_manifest_or_index(data)
        if isinstance(found, Manifest):
            Manifest.build(found.config, found.layers, media_type=found.media_type)
        else:
            Index.build(found.manifests)
            found.select(Platform("linux", "amd64"))
    except (Invalid, Corrupt, NotFound):
        pass
    try:
        config = ImageConfig.parse(data)
        ImageConfig.build(config.document())
    except (Invalid, Corrupt):
        pass


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    survives(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(D),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([manifest_document, index_document, config_document]), st.data())
def test_any_value_anywhere_in_a_document(make: Any, data: st.DataObject) -> None:
    document = make()
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        place = inner
    place[key] = data.draw(JSON)
    survives(json.dumps(document).encode())


@given(st.sampled_from([manifest_document, index_document, config_document]), st.data())
def test_any_byte_changed_in_a_document(make: Any, data: st.DataObject) -> None:
    mutated = bytearray(raw(make()))
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    survives(bytes(mutated))
