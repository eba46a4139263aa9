"""The attributes of targets and groups: from a value of a bake file to a field, and back."""

from __future__ import annotations

from kobako.bake import convert, entries, values
from kobako.bake.entries import Entry, Secret, Ssh
from kobako.bake.source import Fault
from kobako.bake.values import BOOL, NUMBER, STRING, Type, Value, list_type, map_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.targets import Target

_TEXTS = "description context dockerfile dockerfile-inline target network shm-size call".split()
_WORDS = "inherits annotations tags platforms no-cache-filter ulimits entitlements".split()
_PAIRS = "args labels contexts extra-hosts".split()
_ENTRIES = "attest cache-from cache-to secret ssh output policy".split()
_SWITCHES = ["pull", "no-cache"]
_RESOURCES = {
    "memory": STRING, "memory-swap": STRING, "cpu-shares": NUMBER, "cpu-period": NUMBER,
    "cpu-quota": NUMBER, "cpuset-cpus": STRING, "cpuset-mems": STRING,
}  # fmt: skip

NAMES = [*_TEXTS, *_WORDS, *_PAIRS, *_ENTRIES, *_SWITCHES, "resources"]
"""Everything a target can say, beside `name` and `matrix`."""
GROUP_NAMES = ["description", "targets"]


def field(name: str) -> str:
    """The field of `Target` an attribute is kept in."""
    return name.replace("-", "_")


def decode(name: str, value: Value) -> object:
    """What an attribute's value means for its field; None says nothing. `Fault` says why not."""
    if value.null:
        return "" if name == "description" else () if name in (*_PAIRS, "resources") else None
    if name in _TEXTS:
        return convert.as_text(value)
    if name in (*_WORDS, "targets"):
        held = convert.convert(value, list_type(STRING)).raw
        return tuple(convert.as_text(item) for item in held)
    if name in _PAIRS:
        held = convert.convert(value, map_type(STRING)).raw
        return tuple((key, item.raw) for key, item in held.items() if not item.null)
    if name in _SWITCHES:
        return convert.convert(value, BOOL).raw
    if name == "resources":
        return _resources(value)
    return entries.decode_list(value, name)


def _resources(value: Value) -> tuple[tuple[str, str], ...]:
    if not value.type.mapping:
        raise Fault(f"object required, not {value.type}")
    for key in value.raw:
        if key not in _RESOURCES:
            raise Fault(f"unknown resources key {key}")
    return tuple(
        (key, resource(key, convert.as_text(value.raw[key])))
        for key in _RESOURCES
        if key in value.raw and not value.raw[key].null
    )


def resource(key: str, word: str) -> str:
    """The value of a resource, checked."""
    if key not in _RESOURCES:
        raise Fault(f"unknown resources key {key}")
    if _RESOURCES[key] == NUMBER and not word.removeprefix("-").isdigit():
        raise Fault(f"invalid value {word} for int64 key resources.{key}")
    return word


def numeric_resource(key: str) -> bool:
    return _RESOURCES[key] == NUMBER


def encode(target: Target, name: str) -> Value | None:
    """An attribute of a target as a value: what `target.app.tags` is worth. None: no such thing."""
    if name == "name":
        return values.text(target.name)
    if name not in NAMES:
        return None
    held = getattr(target, field(name))
    if name in _TEXTS:
        return values.null(STRING) if held is None else values.text(held)
    if name in _WORDS:
        return values.list_of(STRING, map(values.text, held or ()))
    if name in (*_PAIRS, "resources"):
        return values.map_of(STRING, {key: values.text(item) for key, item in held})
    if name in _SWITCHES:
        return values.null(BOOL) if held is None else values.truth(held)
    return _encode_entries(held or ())


_TEXT_MAP = map_type(STRING)
_SECRET = values.object_type({"id": STRING, "src": STRING, "env": STRING})
_SSH = values.object_type({"id": STRING, "paths": list_type(STRING)})


def _encode_entries(held: tuple[Entry | Secret | Ssh, ...]) -> Value:
    kind: Type = _TEXT_MAP
    found: list[Value] = []
    for item in held:
        if isinstance(item, Entry):
            pairs = {"type": item.type, **dict(item.attributes)}
            found.append(values.map_of(STRING, {k: values.text(v) for k, v in pairs.items()}))
        elif isinstance(item, Secret):
            kind = _SECRET
            parts = {"id": item.id, "src": item.src, "env": item.env}
            found.append(Value(_SECRET, {k: values.text(v) for k, v in parts.items()}))
        else:
            kind = _SSH
            paths = values.list_of(STRING, map(values.text, item.paths))
            found.append(Value(_SSH, {"id": values.text(item.id), "paths": paths}))
    return values.list_of(kind, found)
