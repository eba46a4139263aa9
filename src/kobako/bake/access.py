"""What a value holds: its attributes and elements."""

from __future__ import annotations

from kobako.bake import convert, values
from kobako.bake.source import BakeError, suggest
from kobako.bake.values import NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.source import Range
    from kobako.bake.values import Value


def attribute(of: Value, name: str, at: Range) -> Value:
    """`of.name`, written `at`; `BakeError` there."""
    if of.null:
        raise BakeError(
            at,
            "Attempt to get attribute from null value",
            "This value is null, so it does not have any attributes.",
        )
    if not of.type.mapping:
        raise BakeError(
            at, "Unsupported attribute", f"This value does not have any attributes: {of.type}."
        )
    if name not in of.raw:
        hint = suggest(name, list(of.raw))
        raise BakeError(
            at,
            "Unsupported attribute",
            f'This object does not have an attribute named "{name}".{hint}',
        )
    found: Value = of.raw[name]
    return found


def index(of: Value, key: Value, at: Range) -> Value:
    """`of[key]`, written `at`; `BakeError` there."""
    if of.null or key.null:
        raise BakeError(at, "Invalid index", "Neither the collection nor the key may be null.")
    if of.type.mapping:
        name = convert.as_text(key)
        if name not in of.raw:
            raise BakeError(
                at,
                "Invalid index",
                f'The given key "{name}" does not identify an element in this collection value.',
            )
        found: Value = of.raw[name]
        return found
    if of.type.kind not in ("list", "tuple"):
        raise BakeError(at, "Invalid index", f"A {of.type} does not have any indices.")
    number = convert.convert(key, NUMBER).raw
    if not isinstance(number, int) or not 0 <= number < len(of.raw):
        raise BakeError(
            at,
            "Invalid index",
            f"The given index {values.number_text(number)} does not identify an element: the "
            f"collection has {len(of.raw)}.",
        )
    chosen: Value = of.raw[number]
    return chosen
