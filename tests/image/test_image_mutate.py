"""Images as values: what a mutation changes, and above all what it leaves alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kobako import fastjson
from kobako.errors import Invalid
from kobako.image import mutate
from kobako.oci import mediatypes
from kobako.oci.config import History, ImageConfig
from kobako.oci.descriptor import Descriptor
from kobako.oci.digest import Digest
from kobako.oci.manifest import Manifest
from kobako.oci.platform import Platform

AMD64 = Platform("linux", "amd64")


def layer(content: bytes, media_type: str = mediatypes.OCI_LAYER_GZIP) -> Descriptor:
    return Descriptor(media_type, Digest.of(content), len(content))


def test_a_layer_appears_in_manifest_config_and_history() -> None:
    image = mutate.scratch(AMD64, config={"Cmd": ["sh"]})
    entry = History(created="2026-01-02T03:04:05Z", created_by="COPY a /")
    grown = mutate.append_layer(image, layer(b"gz"), Digest.of(b"tar"), entry)
    assert grown.layers == ((Digest.of(b"tar"), layer(b"gz")),)
    assert grown.config.history == (entry,)
    assert grown.config.created == "2026-01-02T03:04:05Z"
    assert grown.config.config == {"Cmd": ["sh"]}
    assert grown.manifest.config.digest == grown.id == Digest.of(grown.config.raw)
    assert image.layers == ()


def test_the_family_is_kept_until_it_cannot_express_a_layer() -> None:
    image = mutate.scratch(AMD64, family=mediatypes.DOCKER_MANIFEST)
    one = mutate.append_layer(image, layer(b"a"), Digest.of(b"A"), History())
    assert one.manifest.media_type == mediatypes.DOCKER_MANIFEST
    assert one.manifest.layers[0].media_type == mediatypes.DOCKER_LAYER_GZIP
    assert one.manifest.config.media_type == mediatypes.DOCKER_CONFIG
    zstd = layer(b"b", mediatypes.OCI_LAYER_ZSTD)
    two = mutate.append_layer(one, zstd, Digest.of(b"B"), History())
    assert two.manifest.media_type == mediatypes.OCI_MANIFEST
    assert [d.media_type for d in two.manifest.layers] == [
        mediatypes.OCI_LAYER_GZIP,
        mediatypes.OCI_LAYER_ZSTD,
    ]


def test_unknown_keys_of_a_config_survive() -> None:
    document = {
        "architecture": "amd64",
        "os": "linux",
        "moby.buildkit.buildinfo.v1": {"sources": [1]},
        "rootfs": {"type": "layers", "diff_ids": []},
        "config": {"Cmd": ["a"], "X-Vendor": {"deep": [True, None]}},
    }
    config = ImageConfig.build(document)
    pointer = Descriptor(mediatypes.OCI_CONFIG, config.digest, len(config.raw))
    image = mutate.Image.of(Manifest.build(pointer, ()), config)
    changed = mutate.with_author(
        mutate.append_layer(image, layer(b"x"), Digest.EMPTY, History()), "me"
    )
    assert changed.config.data["moby.buildkit.buildinfo.v1"] == {"sources": [1]}
    assert changed.config.config["X-Vendor"] == {"deep": [True, None]}
    assert changed.config.author == "me"


def test_a_config_change_adds_an_empty_history_entry() -> None:
    image = mutate.scratch(AMD64)
    changed = mutate.with_config(
        image, {"Env": ["A=1"], "Cmd": None}, History(created_by="ENV A=1")
    )
    assert changed.config.config == {"Env": ["A=1"]}
    assert changed.config.history == (History(created_by="ENV A=1", empty_layer=True),)


def test_manifest_and_config_must_agree_on_layers() -> None:
    image = mutate.scratch(AMD64)
    with pytest.raises(Invalid, match="the manifest has 1 layers, the config 0"):
        mutate.with_layers(image, [layer(b"x")])


def test_other_layer_forms_keep_the_id() -> None:
    image = mutate.append_layer(mutate.scratch(AMD64), layer(b"gz"), Digest.of(b"t"), History())
    plain = mutate.with_layers(image, [layer(b"t", mediatypes.OCI_LAYER)])
    assert plain.id == image.id
    assert plain.manifest.digest != image.manifest.digest


_words = st.text(min_size=1, max_size=8)
_operations = st.lists(
    st.one_of(
        st.tuples(st.just("layer"), st.binary(max_size=4)),
        st.tuples(st.just("author"), _words),
        st.tuples(st.just("comment"), _words),
        st.tuples(st.just("config"), st.dictionaries(_words.map("X-".__add__), _words, max_size=3)),
    ),
    max_size=8,
)


@given(_operations, st.sampled_from(mediatypes.MANIFESTS))
def test_any_sequence_of_mutations_gives_a_whole_image(operations: list, family: str) -> None:  # type: ignore[type-arg]
    image = mutate.scratch(AMD64, family=family)
    layers, steps = [], 0
    for kind, value in operations:
        before = image.config.raw
        if kind == "layer":
            layers.append(Digest.of(value))
            image = mutate.append_layer(image, layer(value + b"z"), Digest.of(value), History())
            steps += 1
        elif kind == "config":
            image = mutate.with_config(image, value, History(created_by="c"))
            steps += 1
            assert image.config.config == value
        else:
            image = getattr(mutate, f"with_{kind}")(image, value)
            assert image.config.data[kind] == value
        assert ImageConfig.parse(before).raw == before
    assert image.config.diff_ids == tuple(layers)
    assert len(image.config.history) == steps
    assert image.manifest.media_type == family
    again = Manifest.parse(image.manifest.raw)
    assert again.config.digest == Digest.of(image.config.raw)
    assert fastjson.loads(image.config.raw) == image.config.data
