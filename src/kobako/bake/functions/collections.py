"""Functions of lists, sets, maps and objects."""

from __future__ import annotations

from decimal import Decimal

from kobako.bake import convert, values
from kobako.bake.functions.signature import ANY, function, whole
from kobako.bake.source import Fault
from kobako.bake.values import NUMBER, STRING, Type, Value, list_of, list_type, set_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.bake.scope import Function

LIST, SET = list_type(ANY), set_type(ANY)
_RANGE_LIMIT = 1024
_PRODUCT_LIMIT = 100_000


def _unified(items: list[Value], what: str) -> tuple[Type, list[Value]]:
    kind = convert.unify([item.type for item in items])
    if kind is None:
        raise Fault(f"all {what} must have the same type")
    return kind, [convert.convert(item, kind) for item in items]


def _chunklist(held: Value, size: Value) -> Value:
    count = whole(size, "the size argument")
    if count < 0:
        raise Fault("the size argument must be positive")
    items = list(held.raw)
    step = count or max(1, len(items))
    chunks = [items[at : at + step] for at in range(0, len(items), step)]
    return list_of(held.type, [list_of(held.type.element, chunk) for chunk in chunks])


def _coalesce(*given: Value) -> Value:
    kind = convert.unify([v.type for v in given])
    if kind is None:
        raise Fault("all arguments must have the same type")
    for value in given:
        if not value.null:
            return convert.convert(value, kind)
    raise Fault("no non-null arguments")


def _coalescelist(*given: Value) -> Value:
    if not given:
        raise Fault("at least one argument is required")
    for value in given:
        if value.null:
            continue
        if value.type.kind not in ("list", "tuple"):
            raise Fault("coalescelist arguments must be lists or tuples")
        if value.raw:
            return value
    raise Fault("no non-null arguments")


def _compact(held: Value) -> Value:
    return list_of(STRING, [item for item in held.raw if item.raw])


def _concat(*given: Value) -> Value:
    for at, value in enumerate(given):
        if value.type.kind not in ("list", "tuple"):
            raise Fault(f"all arguments must be lists or tuples; argument {at + 1} is {value.type}")
    items = [item for value in given for item in value.raw]
    if given and all(value.type.kind == "list" for value in given):
        kind = convert.unify([value.type.element for value in given])
        if kind is not None:
            return list_of(kind, [convert.convert(item, kind) for item in items])
    return values.tuple_of(items)


def _contains(held: Value, wanted: Value) -> Value:
    if not held.type.sequence:
        raise Fault("argument must be list, tuple, or set")
    return values.truth(any(values.equal(item, wanted) for item in held.raw))


def _distinct(held: Value) -> Value:
    return list_of(held.type.element, dict.fromkeys(held.raw))


def _element(held: Value, index: Value) -> Value:
    if held.type.kind not in ("list", "tuple"):
        raise Fault(f"cannot read elements from {held.type}")
    if not held.raw:
        raise Fault("cannot use element function with an empty list")
    found: Value = held.raw[whole(index, "the index") % len(held.raw)]
    return found


def _flatten(held: Value) -> Value:
    if not held.type.sequence:
        raise Fault("can only flatten lists, sets and tuples")
    return values.tuple_of(_flat(held))


def _flat(held: Value) -> list[Value]:
    found: list[Value] = []
    for item in held.raw:
        found += _flat(item) if item.type.sequence and not item.null else [item]
    return found


def _hasindex(held: Value, key: Value) -> Value:
    if held.type.kind == "map":
        return values.truth(key.type == STRING and key.raw in held.raw)
    if held.type.kind in ("list", "tuple"):
        return values.truth(isinstance(key.raw, int) and key.type == NUMBER
                            and 0 <= key.raw < len(held.raw))  # fmt: skip
    raise Fault("collection must be a list, a map or a tuple")


def _index(held: Value, key: Value) -> Value:
    if not _hasindex(held, key).raw:
        raise Fault("invalid index")
    found: Value = held.raw[key.raw]
    return found


def _indexof(held: Value, wanted: Value) -> Value:
    if held.type.kind not in ("list", "tuple"):
        raise Fault("argument must be a list or tuple")
    if not held.raw:
        raise Fault("cannot search an empty list")
    for at, item in enumerate(held.raw):
        if values.equal(item, wanted):
            return values.number(at)
    raise Fault("item not found")


def _keys(held: Value) -> Value:
    if not held.type.mapping:
        raise Fault("must have map or object type")
    names = [values.text(name) for name in sorted(held.raw)]
    return list_of(STRING, names) if held.type.kind == "map" else values.tuple_of(names)


def _length(held: Value) -> Value:
    if not (held.type.sequence or held.type.kind == "map"):
        raise Fault("collection must be a list, a map or a tuple")
    return values.number(len(held.raw))


def _lookup(held: Value, key: Value, default: Value) -> Value:
    if not held.type.mapping:
        raise Fault("lookup() requires a map as the first argument")
    if key.raw in held.raw:
        found: Value = held.raw[key.raw]
        return found
    if held.type.kind == "map":
        return convert.convert(default, held.type.element)
    return default


def _merge(*given: Value) -> Value:
    fields: dict[str, Value] = {}
    for value in given:
        if value.null:
            continue
        if not value.type.mapping:
            raise Fault(f"arguments must be maps or objects, got {value.type}")
        fields.update(value.raw)
    first = given[0].type if given else ANY
    if first.kind == "map" and all(value.type == first for value in given):
        return values.map_of(first.element, fields)
    return values.object_of(fields)


def _range(*bounds: Value) -> Value:
    if not 1 <= len(bounds) <= 3:
        raise Fault("must have one, two, or three arguments")
    numbers = [bound.raw for bound in bounds]
    start, end = (0, numbers[0]) if len(numbers) == 1 else numbers[:2]
    step = numbers[2] if len(numbers) == 3 else (-1 if end < start else 1)
    if step == 0:
        raise Fault("step must not be zero")
    if step < 0 and end > start:
        raise Fault("end must be less than start when step is negative")
    if step > 0 and end < start:
        raise Fault("end must be greater than start when step is positive")
    found: list[Value] = []
    at: int | Decimal = start
    while at > end if step < 0 else at < end:
        if len(found) >= _RANGE_LIMIT:
            raise Fault(f"more than {_RANGE_LIMIT} values were generated")
        found.append(values.number(at))
        at = at + step
    return list_of(NUMBER, found)


def _reverselist(held: Value) -> Value:
    items = list(reversed(held.items()))
    if held.type.kind == "tuple":
        return values.tuple_of(items)
    if not held.type.sequence:
        raise Fault(f"can only reverse list or tuple values, not {held.type}")
    return list_of(held.type.element, items)


def _set_function(body: Callable[[set[Value], set[Value]], set[Value]], least: int = 1) -> Function:
    """Folds sets, which are brought to one element type first."""

    def call(*given: Value) -> Value:
        if len(given) < least:
            raise Fault(f"at least {least} sets are required")
        kind = convert.unify([item.type.element for item in given if item.raw])
        if kind is None:
            raise Fault("given sets must all have compatible element types")
        sets = [{convert.convert(v, kind) for v in item.raw} for item in given]
        total = sets[0]
        for other in sets[1:]:
            total = body(total, other)
        return values.set_of(kind, total)

    return function(call, *[SET] * least, rest=SET)


def _setproduct(*given: Value) -> Value:
    if len(given) < 2:
        raise Fault("at least two arguments are required")
    rows: list[tuple[Value, ...]] = [()]
    for value in given:
        if not value.type.sequence:
            raise Fault("a set or a list is required")
        _, items = _unified(list(value.raw), "elements")
        rows = [(*row, item) for row in rows for item in items]
        if len(rows) > _PRODUCT_LIMIT:
            raise Fault(f"more than {_PRODUCT_LIMIT} combinations")
    found = [values.tuple_of(row) for row in rows]
    kind = found[0].type if found else ANY
    if all(value.type.kind == "set" for value in given):
        return values.set_of(kind, found)
    return list_of(kind, found)


def _slice(held: Value, start: Value, end: Value) -> Value:
    if held.type.kind not in ("list", "tuple"):
        raise Fault("must be a list or tuple value")
    first, last = whole(start, "the start index"), whole(end, "the end index")
    if first < 0 or last < 0:
        raise Fault("an index must not be less than zero")
    if last > len(held.raw) or first > len(held.raw):
        raise Fault("an index must not be greater than the length of the list")
    if first > last:
        raise Fault("start index must not be greater than end index")
    items = held.raw[first:last]
    if held.type.kind == "tuple":
        return values.tuple_of(items)
    return list_of(held.type.element, items)


def _values(held: Value) -> Value:
    if not held.type.mapping:
        raise Fault("values() requires a map as the first argument")
    items = held.items()
    if held.type.kind == "map":
        return list_of(held.type.element, items)
    return values.tuple_of(items)


def _zipmap(keys: Value, held: Value) -> Value:
    if held.type.kind not in ("list", "tuple"):
        raise Fault("values argument must be a list or tuple value")
    if len(keys.raw) != len(held.raw):
        raise Fault(
            f"number of keys ({len(keys.raw)}) does not match number of values ({len(held.raw)})"
        )
    names = [convert.as_text(key) for key in keys.raw]
    fields = dict(zip(names, held.raw, strict=True))
    if held.type.kind == "list":
        return values.map_of(held.type.element, fields)
    return values.object_of(fields)


FUNCTIONS: dict[str, Function] = {
    "chunklist": function(_chunklist, LIST, NUMBER),
    "coalesce": function(_coalesce, rest=ANY, nulls=True),
    "coalescelist": function(_coalescelist, rest=ANY, nulls=True),
    "compact": function(_compact, list_type(STRING)),
    "concat": function(_concat, rest=ANY),
    "contains": function(_contains, ANY, ANY, nulls=False),
    "distinct": function(_distinct, LIST),
    "element": function(_element, ANY, NUMBER),
    "flatten": function(_flatten, ANY),
    "hasindex": function(_hasindex, ANY, ANY),
    "index": function(_index, ANY, ANY),
    "indexof": function(_indexof, ANY, ANY),
    "keys": function(_keys, ANY),
    "length": function(_length, ANY),
    "lookup": function(_lookup, ANY, STRING, ANY, nulls=False),
    "merge": function(_merge, rest=ANY, nulls=True),
    "range": function(_range, rest=NUMBER),
    "reverselist": function(_reverselist, ANY),
    "sethaselement": function(
        lambda held, item: values.truth(any(values.equal(v, item) for v in held.raw)), SET, ANY
    ),
    "setintersection": _set_function(lambda a, b: a & b),
    "setproduct": function(_setproduct, rest=ANY),
    "setsubtract": _set_function(lambda a, b: a - b, 2),
    "setsymmetricdifference": _set_function(lambda a, b: a ^ b),
    "setunion": _set_function(lambda a, b: a | b),
    "slice": function(_slice, ANY, NUMBER, NUMBER),
    "values": function(_values, ANY),
    "zipmap": function(_zipmap, list_type(STRING), ANY),
}
