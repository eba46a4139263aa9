"""Variables: their default, their type, and what the environment says instead."""

from __future__ import annotations

from decimal import Decimal

from kobako.bake import convert, entries, types, values
from kobako.bake.evaluate import evaluate
from kobako.bake.hcl.syntax import Block, Body, Node, Setting
from kobako.bake.scope import Scope
from kobako.bake.source import BakeError, Fault
from kobako.bake.values import BOOL, DYNAMIC, STRING, Type, Value
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.bake.source import Range

    Lookup = Callable[[str], str | None]


class Variable(Record):
    """A `variable` block; `kind` is its type where it names one (`type = any` is one too)."""

    name: str
    at: Range
    default: Setting | None
    kind: Type | None
    description: str
    validations: tuple[tuple[Node, Node | None], ...]


class Listed(Record):
    """A variable as `--list=variables` shows it; `value` None is null."""

    name: str
    description: str
    type: str
    value: str | None


def read(block: Block, scope: Scope) -> Variable:
    body = block.body
    kind = body.get("type")
    description = body.get("description")
    shown = "" if description is None else convert.as_text(evaluate(description.value, scope))
    return Variable(
        block.labels[0],
        block.at,
        body.get("default"),
        None if kind is None else types.read(kind.value),
        shown,
        tuple(_validation(inner.body) for inner in body.blocks if inner.type == "validation"),
    )


def _validation(body: Body) -> tuple[Node, Node | None]:
    condition, message = body.get("condition"), body.get("error_message")
    if condition is None:
        raise BakeError(body.at, "Missing required argument", "A validation needs a condition.")
    return condition.value, message.value if message else None


def value(
    variable: Variable, default: Setting | None, scope: Scope, environment: Environment
) -> Value:
    """What a variable is worth. `default` is its own, or a global attribute of its name."""
    try:
        return _value(variable, default, scope, environment)
    except Fault as fault:
        raise BakeError(variable.at, "Invalid value", fault.message) from None


class Environment(Record):
    """`lookup` knows `--var` and the environment; `reserved` names have a meaning of their own."""

    lookup: Lookup
    declared: frozenset[str]
    reserved: frozenset[str]

    def override(self, name: str, typed: bool) -> tuple[str | None, bool]:
        """(what stands there for a variable, whether it is JSON): NAME_JSON wins when typed."""
        found = self.lookup(name)
        other = name + "_JSON"
        if (found is None or typed) and other not in self.declared and other not in self.reserved:
            document = self.lookup(other)
            if document is not None:
                return document, True
        return found, False


def _value(
    variable: Variable, default: Setting | None, scope: Scope, environment: Environment
) -> Value:
    kind = variable.kind
    given, json = environment.override(variable.name, kind is not None)
    worth = values.null(kind or DYNAMIC)
    if default is not None:
        worth = evaluate(default.value, scope)
        try:
            worth = convert.convert(worth, kind or DYNAMIC)
        except Fault as fault:
            raise BakeError(
                default.value.at,
                "Invalid value",
                f"invalid type {kind} for variable {variable.name} default value: {fault.message}",
            ) from None
    if given is None:
        return worth if kind is not None or default is not None else values.text("")
    if kind is not None and json:
        try:
            return convert.convert(values.from_json(given), kind)
        except Fault as fault:
            raise Fault(
                f"failed to convert variable {variable.name} from JSON: {fault.message}"
            ) from None
    if kind is not None and kind.kind in ("list", "set", "tuple", "map"):
        try:
            return _from_csv(given, kind)
        except Fault as fault:
            raise Fault(
                f"failed to convert variable {variable.name} from CSV: {fault.message}"
            ) from None
    target = kind if kind is not None else worth.type
    if target.primitive:
        return primitive(variable.name, given, target)
    if kind is None and (default is None or target == DYNAMIC):
        return values.text(given)
    raise Fault(f"unsupported type {target} for variable {variable.name}")


def primitive(name: str, word: str, kind: Type) -> Value:
    """A word of the environment as a string, a number or a bool."""
    if kind == STRING:
        return values.text(word)
    if kind == BOOL:
        try:
            return values.truth(entries.boolean(word))
        except Fault:
            raise Fault(f'failed to parse {name} as bool: "{word}"') from None
    try:
        if "_" in word or word != word.strip():
            raise ValueError
        return values.number(Decimal(repr(float(word))))
    except (ValueError, ArithmeticError, Fault):
        raise Fault(f'failed to parse {name} as number: "{word}"') from None


def _from_csv(line: str, kind: Type) -> Value:
    fields = entries.csv_fields(line)
    parts = kind.items if kind.kind == "tuple" else (kind.element,)
    if not all(part.primitive for part in parts):
        raise Fault(f"unsupported type {kind} for CSV specification")
    if kind.kind == "tuple":
        if len(parts) != len(fields):
            raise Fault(f"tuple expects {len(parts)} elements but only {len(fields)} provided")
        pairs = zip(fields, parts, strict=True)
        return values.tuple_of([primitive("an element", word, part) for word, part in pairs])
    if kind.kind == "map":
        found = {}
        for word in fields:
            key, colon, item = word.partition(":")
            if not colon or ":" in item:
                raise Fault(f"expected one k/v pair but got {word}")
            found[key] = primitive("an element", item, kind.element)
        return values.map_of(kind.element, found)
    items = [primitive("an element", word, kind.element) for word in fields]
    make = values.set_of if kind.kind == "set" else values.list_of
    return make(kind.element, items)


def validate(variable: Variable, scope: Scope) -> None:
    """`BakeError` with its message at the first condition that does not hold."""
    for condition, message in variable.validations:
        found = evaluate(condition, scope)
        if found.null:
            raise BakeError(
                condition.at,
                "Invalid condition result",
                "Condition expression must return either true or false, not null.",
            )
        try:
            holds = convert.convert(found, BOOL).raw
        except Fault as fault:
            raise BakeError(
                condition.at,
                "Invalid condition result",
                f"Invalid condition result value: {fault.message}",
            ) from None
        if not holds:
            said = evaluate(message, scope) if message is not None else values.null()
            text = "This check failed, but has an invalid error message."
            raise BakeError(
                condition.at, "Validation failed", text if said.null else convert.as_text(said)
            )


def listed(variable: Variable, worth: Value) -> Listed:
    """As `--list=variables` shows it: strings bare, everything else as JSON."""
    shown: str | None = None
    if not worth.null:
        shown = worth.raw if worth.type == STRING else values.to_json(worth)
    kind = variable.kind
    named = "" if kind is None else _constraint(kind)
    return Listed(variable.name, variable.description, named, shown)


def _constraint(kind: Type) -> str:
    if kind == DYNAMIC:
        return "any type"
    if kind.of is not None:
        return f"{kind.kind} of {_constraint(kind.of)}"
    return str(kind)
