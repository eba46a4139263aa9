"""One type to another, as HCL converts where an attribute or a function asks for a type."""

from __future__ import annotations

from kobako.bake import values
from kobako.bake.source import Fault
from kobako.bake.values import BOOL, DYNAMIC, NUMBER, STRING, Type, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def convert(value: Value, wanted: Type) -> Value:
    """The value as a `wanted`; `Fault` says why not."""
    if wanted.kind == "dynamic" or value.type == wanted:
        return value
    if value.null:
        return values.null(wanted)
    if wanted.primitive:
        return _primitive(value, wanted)
    if wanted.kind in ("list", "set"):
        return _sequence(value, wanted)
    if wanted.kind == "map":
        return _map(value, wanted)
    if wanted.kind == "tuple":
        return _tuple(value, wanted)
    return _object(value, wanted)


def as_text(value: Value) -> str:
    """The string a value stands for; `Fault` for null and for collections."""
    found = convert(value, STRING).raw
    if found is None:
        raise Fault("must not be null")
    return str(found)


def unify(types: Sequence[Type]) -> Type | None:
    """The type all of them can be converted to, None when there is none."""
    known = list(dict.fromkeys(t for t in types if t.kind != "dynamic"))
    if not known:
        return DYNAMIC
    if len(known) == 1:
        return known[0]
    kinds = {t.kind for t in known}
    if all(t.primitive for t in known):
        return STRING if STRING in known else None
    if kinds == {"object"}:
        return _unify_objects(known)
    if kinds == {"tuple"}:
        return _unify_tuples(known)
    for family, kind in (({"map", "object"}, "map"), ({"list", "tuple"}, "list"),
                         ({"list", "set", "tuple"}, "set")):  # fmt: skip
        if kinds <= family and kind in kinds:
            of = unify([part for t in known for part in _parts(t)])
            return Type(kind, of) if of else None
    return None


def _unify_objects(known: list[Type]) -> Type | None:
    names = [tuple(name for name, _ in t.fields) for t in known]
    if len(set(names)) == 1:
        fields = {}
        for at, name in enumerate(names[0]):
            found = unify([t.fields[at][1] for t in known])
            if found is None:
                return None
            fields[name] = found
        return values.object_type(fields)
    of = unify([part for t in known for part in _parts(t)])
    return values.map_type(of) if of else None


def _unify_tuples(known: list[Type]) -> Type | None:
    if len({len(t.items) for t in known}) == 1:
        found = [unify(column) for column in zip(*(t.items for t in known), strict=True)]
        parts = [part for part in found if part is not None]
        return values.tuple_type(parts) if len(parts) == len(found) else None
    of = unify([part for t in known for part in _parts(t)])
    return values.list_type(of) if of else None


def _parts(kind: Type) -> tuple[Type, ...]:
    if kind.of:
        return (kind.of,)
    return kind.items or tuple(part for _, part in kind.fields)


def _primitive(value: Value, wanted: Type) -> Value:
    raw = value.raw
    if value.type.primitive:
        if wanted == STRING:
            if value.type == BOOL:
                return values.text("true" if raw else "false")
            return values.text(values.number_text(raw))
        if wanted == NUMBER and value.type == STRING:
            found = values.parse_number(raw)
            if found is None:
                raise Fault("a number is required")
            return values.number(found)
        if wanted == BOOL and value.type == STRING:
            if raw in ("true", "1"):
                return values.TRUE
            if raw in ("false", "0"):
                return values.FALSE
            low = raw.lower()
            if low in ("true", "false"):
                raise Fault(f'a bool is required; to convert from string, use lowercase "{low}"')
            raise Fault("a bool is required")
    raise Fault(f"{wanted} required, but have {value.type}")


def _sequence(value: Value, wanted: Type) -> Value:
    if not value.type.sequence:
        raise Fault(f"{wanted} required, but have {value.type}")
    of = wanted.element
    if of.kind == "dynamic":
        of = unify([item.type for item in value.raw]) or _mixed()
    items = [_within(item, of) for item in value.raw]
    return values.set_of(of, items) if wanted.kind == "set" else values.list_of(of, items)


def _map(value: Value, wanted: Type) -> Value:
    if not value.type.mapping:
        raise Fault(f"{wanted} required, but have {value.type}")
    of = wanted.element
    if of.kind == "dynamic":
        of = unify([item.type for item in value.raw.values()]) or _mixed()
    return values.map_of(of, {key: _within(item, of, key) for key, item in value.raw.items()})


def _tuple(value: Value, wanted: Type) -> Value:
    if value.type.kind not in ("tuple", "list"):
        raise Fault("tuple required")
    if len(value.raw) != len(wanted.items):
        raise Fault(f"tuple of {len(wanted.items)} elements required, {len(value.raw)} given")
    return values.tuple_of(
        _within(item, part) for item, part in zip(value.raw, wanted.items, strict=True)
    )


def _object(value: Value, wanted: Type) -> Value:
    if not value.type.mapping:
        raise Fault(f"{wanted} required")
    fields: dict[str, Value] = {}
    for name, part in wanted.fields:
        if name in value.raw:
            fields[name] = _within(value.raw[name], part, name)
        elif name in wanted.optional:
            fields[name] = values.null(part)
        else:
            raise Fault(f'attribute "{name}" is required')
    return Value(values.object_type(dict(wanted.fields)), fields)


def _within(item: Value, part: Type, name: str = "") -> Value:
    try:
        return convert(item, part)
    except Fault as fault:
        lead = f'element "{name}": ' if name else "incorrect list element type: "
        raise Fault(lead + fault.message) from None


def _mixed() -> Type:
    raise Fault("all elements must have the same type")
