"""A build cache on its way between machines: records of results, and the layers they mean.

The container is BuildKit's: a config of type `application/vnd.buildkit.cacheconfig.v0` beside the
blobs of its layers, so that every registry takes it; an inline cache stands in the image's config
as `moby.buildkit.cache.v0`. The keys are ours: BuildKit's are made of its own operations and can be
made by nobody else. So each of the two ignores the other's records and breaks on none of them.

A record says what came of a step by its key (`build.cache`). A layer that is not among the blobs is
there by name only: enough to find what was made of it, not enough to continue from it.
"""

from __future__ import annotations

from base64 import b64decode, b64encode

from kobako import fastjson
from kobako.errors import Invalid
from kobako.oci import Descriptor, Digest, Index, Manifest, mediatypes
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

CONFIG_TYPE = "application/vnd.buildkit.cacheconfig.v0"
INLINE_KEY = "moby.buildkit.cache.v0"
_OWN = "kobako"
_MOST = 100_000
_HEX = frozenset("0123456789abcdef")


class CacheLayer(Record):
    """A layer of a cache: what it is unpacked, and the blob that carries it. `here`: the blob is
    part of the cache."""

    diff_id: Digest
    blob: Descriptor
    here: bool = True


class CacheRecord(Record):
    """What came of a step: the time it bears (seconds) and the layer it made, if any."""

    key: str
    epoch: int
    layer: CacheLayer | None = None

    def document(self) -> dict[str, Any]:
        """As the build cache keeps it."""
        kept: dict[str, Any] = {"epoch": self.epoch}
        if self.layer is not None:
            kept["diff_id"] = str(self.layer.diff_id)
            kept["blob"] = self.layer.blob.to_json()
        return kept


def record_of(key: str, document: Mapping[str, Any]) -> CacheRecord | None:
    """A row of the build cache as a record; None where it is no result of a step."""
    if len(key) != 64 or not _HEX.issuperset(key) or not isinstance(document.get("epoch"), int):
        return None
    layer = None
    if "diff_id" in document:
        blob = document["blob"]
        descriptor = Descriptor(blob["mediaType"], Digest.parse(blob["digest"]), int(blob["size"]))
        layer = CacheLayer(Digest.parse(document["diff_id"]), descriptor)
    return CacheRecord(key, document["epoch"], layer)


def config(records: Sequence[CacheRecord]) -> bytes:
    """The config document of a cache: the same records give the same bytes."""
    layers = layers_of(records)
    places = {layer.diff_id: place for place, layer in enumerate(layers)}
    document = {
        "layers": [_layer(layer) for layer in layers],
        "records": [_record(record, places) for record in sorted(records, key=lambda r: r.key)],
    }
    return fastjson.dumps(document)


def layers_of(records: Iterable[CacheRecord]) -> list[CacheLayer]:
    """The layers of records, each once, in the order of their DiffIDs."""
    found = {r.layer.diff_id: r.layer for r in records if r.layer is not None}
    return [found[diff_id] for diff_id in sorted(found)]


def _layer(layer: CacheLayer) -> dict[str, Any]:
    notes = {
        "mediaType": layer.blob.media_type,
        "diffID": str(layer.diff_id),
        "size": layer.blob.size,
    }
    return {"blob": str(layer.blob.digest), "parent": -1, "annotations": notes}


def _record(record: CacheRecord, places: Mapping[Digest, int]) -> dict[str, Any]:
    kept: dict[str, Any] = {"digest": f"sha256:{record.key}", _OWN: {"epoch": record.epoch}}
    if record.layer is not None:
        kept["layers"] = [{"layer": places[record.layer.diff_id]}]
    return kept


def envelope(
    records: Sequence[CacheRecord], *, index: bool = False, docker: bool = False
) -> tuple[bytes, Manifest | Index]:
    """The config and what points to it and to the blobs that are here."""
    raw = config(records)
    pointer = Descriptor(CONFIG_TYPE, Digest.of(raw), len(raw))
    blobs = [layer.blob for layer in layers_of(records) if layer.here]
    if not index:
        return raw, Manifest.build(pointer, blobs)
    family = mediatypes.DOCKER_INDEX if docker else mediatypes.OCI_INDEX
    blobs = [
        blob.replace(media_type=mediatypes.counterpart(blob.media_type, family) or blob.media_type)
        for blob in blobs
    ]
    return raw, Index.build([*blobs, pointer], media_type=family)


def config_of(found: Manifest | Index) -> Descriptor | None:
    """Where the config of a cache is; None when the document is no cache of its own."""
    if isinstance(found, Manifest):
        return found.config if found.config.media_type == CONFIG_TYPE else None
    return next((one for one in found.manifests if one.media_type == CONFIG_TYPE), None)


def parse(raw: bytes, found: Manifest | Index) -> list[CacheRecord]:
    """The records of a cache's config that are ours. `Invalid` for what is no such document.

    Nothing it says is trusted: records whose parts do not fit are left out, and a blob is only the
    one its digest names.
    """
    blobs = found.layers if isinstance(found, Manifest) else found.manifests
    here = {blob.digest: blob for blob in blobs}
    document = _object(raw)
    layers = [_parsed_layer(one, here) for one in _list(document, "layers")]
    return _records(_list(document, "records"), layers)


def inline(records: Sequence[CacheRecord], layers: Sequence[tuple[Digest, Descriptor]]) -> str:
    """The value of `INLINE_KEY` in the config of an image with these layers."""
    places = {diff_id: place for place, (diff_id, _) in enumerate(layers)}
    found = []
    for record in sorted(records, key=lambda r: r.key):
        kept: dict[str, Any] = {"digest": f"sha256:{record.key}", _OWN: {"epoch": record.epoch}}
        layer = record.layer
        if layer is not None and layer.diff_id in places:
            kept["layers"] = [{"layer": places[layer.diff_id]}]
        elif layer is not None:
            kept[_OWN]["elsewhere"] = _layer(layer)
        found.append(kept)
    return b64encode(fastjson.dumps(found)).decode()


def parse_inline(
    document: Mapping[str, Any], layers: Sequence[tuple[Digest, Descriptor]]
) -> list[CacheRecord]:
    """The records in an image's config, given its layers; none where there are none."""
    text = document.get(INLINE_KEY)
    if not isinstance(text, str):
        return []
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        raise Invalid(f"{INLINE_KEY} is not base64") from None
    own = [CacheLayer(diff_id, blob) for diff_id, blob in layers]
    return _records(_list({"records": _json(raw)}, "records"), list(own))


def _records(found: list[Any], layers: Sequence[CacheLayer | None]) -> list[CacheRecord]:
    records = []
    for one in found:
        own = one.get(_OWN) if isinstance(one, dict) else None
        if not isinstance(own, dict) or not _is_time(own.get("epoch")):
            continue  # another builder's
        key = str(one.get("digest", "")).removeprefix("sha256:")
        if len(key) != 64 or not _HEX.issuperset(key):
            continue
        results = one.get("layers") or []
        layer: CacheLayer | None = None
        if results:
            place = results[0].get("layer", 0) if isinstance(results[0], dict) else -1
            if not isinstance(place, int) or not 0 <= place < len(layers):
                continue
            layer = layers[place]
            if layer is None:
                continue
        elif "elsewhere" in own:
            layer = _parsed_layer(own["elsewhere"], {})
            if layer is None:
                continue
        records.append(CacheRecord(key, own["epoch"], layer))
    return records


def _is_time(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40


def _parsed_layer(one: object, here: Mapping[Digest, Descriptor]) -> CacheLayer | None:
    if not isinstance(one, dict) or not isinstance(one.get("annotations"), dict):
        return None
    notes = one["annotations"]
    size, kind = notes.get("size"), notes.get("mediaType")
    if not isinstance(size, int) or size < 0 or not isinstance(kind, str):
        return None
    try:
        digest = Digest.parse(str(one.get("blob")))
        diff_id = Digest.parse(str(notes.get("diffID")))
    except Invalid:
        return None
    if not mediatypes.is_layer(kind) or digest.algorithm != "sha256":
        return None
    there = here.get(digest)
    if there is not None and there.size != size:
        return None
    return CacheLayer(diff_id, Descriptor(kind, digest, size), there is not None)


def _object(raw: bytes) -> dict[str, Any]:
    found = _json(raw)
    if not isinstance(found, dict):
        raise Invalid("the cache's config is no JSON object")
    return found


def _json(raw: bytes) -> Any:
    try:
        return fastjson.loads(raw)
    except (ValueError, RecursionError):
        raise Invalid("the cache's config is no JSON document") from None


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    found = document.get(key) or []
    if not isinstance(found, list):
        raise Invalid(f"the cache's config: {key} is no list")
    if len(found) > _MOST:
        raise Invalid(f"the cache's config: more than {_MOST} {key}")
    return found
