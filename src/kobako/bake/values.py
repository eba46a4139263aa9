"""The values of bake files: HCL's type system (cty), as far as a bake file can see it.

A `Value` carries its type, for a null knows what it could have been and `[]` is a tuple until
something asks for a list. Numbers are exact: an int or a Decimal of 150 digits.
"""

from __future__ import annotations

from decimal import Context, Decimal

from kobako.bake.source import Fault
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

PRECISION = Context(prec=154)
"""What 512 bits hold, which is what HCL computes with."""
_LARGEST = 12_000
"""Bits of the largest number: a bake file has no use for one that takes pages to print."""


class Type(Record):
    """`kind` is string, number, bool, dynamic, list, set, map, tuple or object.

    `of` is the element type of a list, set or map; `items` those of a tuple; `fields` the sorted
    attributes of an object, `optional` those it may lack.
    """

    kind: str
    of: Type | None = None
    items: tuple[Type, ...] = ()
    fields: tuple[tuple[str, Type], ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def primitive(self) -> bool:
        return self.kind in ("string", "number", "bool")

    @property
    def sequence(self) -> bool:
        return self.kind in ("list", "set", "tuple")

    @property
    def mapping(self) -> bool:
        return self.kind in ("map", "object")

    @property
    def element(self) -> Type:
        """The element type of a list, set or map."""
        assert self.of is not None
        return self.of

    def __str__(self) -> str:
        """The name people read: "list of string"."""
        return f"{self.kind} of {self.of}" if self.of else self.kind


STRING, NUMBER, BOOL, DYNAMIC = Type("string"), Type("number"), Type("bool"), Type("dynamic")


def list_type(of: Type) -> Type:
    return Type("list", of)


def map_type(of: Type) -> Type:
    return Type("map", of)


def set_type(of: Type) -> Type:
    return Type("set", of)


def tuple_type(items: Iterable[Type]) -> Type:
    return Type("tuple", items=tuple(items))


def object_type(fields: Mapping[str, Type], optional: Iterable[str] = ()) -> Type:
    return Type("object", fields=tuple(sorted(fields.items())), optional=tuple(sorted(optional)))


class Value(Record):
    """`raw` is a str, bool, int or Decimal, a tuple of Values, a dict of them, or None for null."""

    type: Type
    raw: Any

    @property
    def null(self) -> bool:
        return self.raw is None

    def __hash__(self) -> int:
        return hash(to_json(self))

    def elements(self) -> Iterator[tuple[Value, Value]]:
        """(key, value) of everything in a collection, in its order. `Fault` when it is none."""
        if self.null:
            raise Fault("A null value cannot be used as a collection")
        if self.type.kind in ("list", "tuple"):
            return ((number(i), item) for i, item in enumerate(self.raw))
        if self.type.kind == "set":
            return ((item, item) for item in self.raw)
        if self.type.mapping:
            return ((text(key), item) for key, item in sorted(self.raw.items()))
        raise Fault(f"a {self.type} is not a collection")

    def items(self) -> list[Value]:
        return [item for _, item in self.elements()]

    def __len__(self) -> int:
        return len(self.raw)


def text(value: str) -> Value:
    return Value(STRING, value)


def number(value: int | Decimal) -> Value:
    return Value(NUMBER, _plain(value))


def truth(value: bool) -> Value:
    return Value(BOOL, value)


def null(kind: Type = DYNAMIC) -> Value:
    return Value(kind, None)


TRUE, FALSE = truth(True), truth(False)


def tuple_of(items: Iterable[Value]) -> Value:
    held = tuple(items)
    return Value(tuple_type(item.type for item in held), held)


def object_of(fields: Mapping[str, Value]) -> Value:
    return Value(object_type({k: v.type for k, v in fields.items()}), dict(fields))


def list_of(of: Type, items: Iterable[Value]) -> Value:
    return Value(list_type(of), tuple(items))


def map_of(of: Type, fields: Mapping[str, Value]) -> Value:
    return Value(map_type(of), dict(fields))


def set_of(of: Type, items: Iterable[Value]) -> Value:
    """Strings and numbers are kept sorted, anything else by its JSON."""
    unique: dict[str, Value] = {}
    for item in items:
        unique.setdefault(to_json(item), item)
    if of.kind in ("string", "number") and not any(v.null for v in unique.values()):
        return Value(set_type(of), tuple(sorted(unique.values(), key=lambda v: v.raw)))
    return Value(set_type(of), tuple(unique[key] for key in sorted(unique)))


def _plain(value: int | Decimal) -> int | Decimal:
    if isinstance(value, int):
        if value.bit_length() > _LARGEST:
            raise Fault("the number is too large")
    elif not value.is_finite() or abs(value.adjusted()) > _LARGEST // 4:
        raise Fault("the number is too large")
    elif value == value.to_integral_value():
        return int(value)
    return value


def parse_number(word: str) -> int | Decimal | None:
    """A number as HCL writes it; None when `word` is none."""
    body = word[1:] if word[:1] in "+-" else word
    if not body or not body[0].isdigit() or not body.isascii() or "_" in body:
        return None
    try:
        return _plain(PRECISION.create_decimal(word))
    except (ArithmeticError, Fault):
        return None


def number_text(value: int | Decimal) -> str:
    """Without an exponent and without trailing zeros."""
    if isinstance(value, int):
        return str(value)
    shown = format(value, "f")
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def equal(a: Value, b: Value) -> bool:
    """HCL's `==`: values of different types differ, but null equals null."""
    if a.null or b.null:
        return a.null and b.null
    if a.type.kind != b.type.kind:
        return False
    if a.type.primitive:
        return bool(a.raw == b.raw)
    if len(a.raw) != len(b.raw) or (a.type.of and b.type.of and a.type.of != b.type.of):
        return False
    if a.type.mapping:
        return all(key in b.raw and equal(item, b.raw[key]) for key, item in a.raw.items())
    return all(equal(x, y) for x, y in zip(a.raw, b.raw, strict=True))


_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def quoted(word: str) -> str:
    """A string as Go's encoding/json writes it."""
    import json

    shown = json.dumps(word, ensure_ascii=False)
    for plain, escape in _ESCAPES.items():
        shown = shown.replace(plain, escape)
    return shown


def to_json(value: Value) -> str:
    """Compact JSON, objects sorted by key."""
    raw = value.raw
    if raw is None:
        return "null"
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, str):
        return quoted(raw)
    if isinstance(raw, int | Decimal):
        return number_text(raw)
    if isinstance(raw, dict):
        inner = ",".join(f"{quoted(key)}:{to_json(item)}" for key, item in sorted(raw.items()))
        return "{" + inner + "}"
    return "[" + ",".join(map(to_json, raw)) + "]"


def from_json(document: str) -> Value:
    """What a JSON document describes: objects and tuples. `Fault` when it is malformed."""
    import json

    try:
        return _imply(json.loads(document, parse_float=Decimal))
    except (ValueError, RecursionError) as error:
        raise Fault(f"invalid JSON: {error}") from None


def _imply(found: Any) -> Value:
    if found is None:
        return null()
    if isinstance(found, bool):
        return truth(found)
    if isinstance(found, str):
        return text(found)
    if isinstance(found, int | Decimal):
        return number(found)
    if isinstance(found, dict):
        return object_of({key: _imply(item) for key, item in found.items()})
    if isinstance(found, list):
        return tuple_of(_imply(item) for item in found)
    raise Fault(f"invalid JSON: {found!r} is not a number")
