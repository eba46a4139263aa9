"""What an expression is worth (hclsyntax specification, "Expressions")."""

from __future__ import annotations

from decimal import Decimal

from kobako.bake import access, convert, operators, values
from kobako.bake.hcl import json_syntax
from kobako.bake.hcl.syntax import (
    Attribute,
    Binary,
    Call,
    Conditional,
    For,
    Index,
    Item,
    JsonText,
    Literal,
    Name,
    Node,
    Object,
    Splat,
    Template,
    Tuple,
    Unary,
)
from kobako.bake.scope import Scope
from kobako.bake.source import BakeError, Fault, suggest
from kobako.bake.values import BOOL, NUMBER, STRING, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def evaluate(node: Node, scope: Scope) -> Value:
    """The value of an expression. `BakeError` at the place that has none."""
    try:
        return _EVALUATE[type(node)](node, scope)
    except Fault as fault:
        raise BakeError(node.at, "Invalid expression", fault.message) from None
    except RecursionError:
        raise BakeError(
            node.at, "Nested too deeply", "The expression cannot be computed."
        ) from None


def _fault(node: Node, summary: str, detail: str) -> BakeError:
    return BakeError(node.at, summary, detail)


def _as(kind: values.Type, value: Value, node: Node, summary: str, detail: str) -> Value:
    """`value`, which is `node`'s, as one of type `kind`."""
    try:
        return convert.convert(value, kind)
    except Fault as fault:
        raise _fault(node, summary, f"{detail}: {fault.message}.") from None


def _literal(node: Literal, scope: Scope) -> Value:
    return node.value


def _json_text(node: JsonText, scope: Scope) -> Value:
    return evaluate(json_syntax.template(node), scope)


def _template(node: Template, scope: Scope) -> Value:
    parts = []
    for part in node.parts:
        value = evaluate(part, scope)
        if value.null:
            raise _fault(
                part,
                "Invalid template interpolation value",
                "The expression result is null. Cannot include a null value in a string template.",
            )
        parts.append(
            _as(
                STRING,
                value,
                part,
                "Invalid template interpolation value",
                "Cannot include the given value in a string template",
            ).raw
        )
    return values.text("".join(parts))


def _name(node: Name, scope: Scope) -> Value:
    if node.name in scope.local:
        return scope.local[node.name]
    found = scope.outer.variable(node.name)
    if found is not None:
        return found
    if node.name in scope.outer.block_types():
        raise _fault(node, "Invalid expression", f"cannot access {node.name} as a variable")
    hint = suggest(node.name, [*scope.local, *scope.outer.variable_names()])
    raise _fault(node, "Unknown variable", f'There is no variable named "{node.name}".{hint}')


def _attribute(node: Attribute, scope: Scope) -> Value:
    block = _block_attribute(node, scope)
    if block is not None:
        return block
    return access.attribute(evaluate(node.of, scope), node.name, node.at)


def _block_attribute(node: Attribute, scope: Scope) -> Value | None:
    """`target.app.tags`, where `target` is no variable."""
    inner = node.of
    name = ""
    if isinstance(inner, Attribute):
        root, name = inner.of, inner.name
    elif isinstance(inner, Index) and isinstance(inner.key, Literal):
        root, name = inner.of, str(inner.key.value.raw)
    else:
        return None
    if not isinstance(root, Name) or root.name in scope.local:
        return None
    if root.name not in scope.outer.block_types() or scope.outer.variable(root.name) is not None:
        return None
    found = scope.outer.attribute(root.name, name, node.name)
    if found is None:
        raise _fault(
            node,
            "Unsupported attribute",
            f'There is no {root.name} named "{name}" with an attribute "{node.name}".',
        )
    return found


def _index(node: Index, scope: Scope) -> Value:
    return access.index(evaluate(node.of, scope), evaluate(node.key, scope), node.at)


def _splat(node: Splat, scope: Scope) -> Value:
    of = evaluate(node.of, scope)
    if of.null:
        return values.tuple_of(())
    items = of.items() if of.type.sequence else [of]
    found = [evaluate(node.each, Scope(scope.outer, scope.local, item)) for item in items]
    if of.type.kind in ("list", "set"):
        kind = convert.unify([item.type for item in found])
        if kind is not None and found:
            return values.list_of(kind, [convert.convert(item, kind) for item in found])
    return values.tuple_of(found)


def _item(node: Item, scope: Scope) -> Value:
    assert scope.item is not None
    return scope.item


def _call(node: Call, scope: Scope) -> Value:
    function = scope.outer.function(node.name)
    if function is None:
        hint = suggest(node.name, scope.outer.function_names())
        raise _fault(
            node,
            "Call to unknown function",
            f'There is no function named "{node.name}".{hint}',
        )
    arguments = list(node.arguments)
    if node.expand:
        last = evaluate(arguments[-1], scope)
        if last.null or not last.type.sequence:
            raise _fault(
                arguments[-1],
                "Invalid expanding argument value",
                "The expanding argument (indicated by ...) must be of a tuple, list, or set type.",
            )
        at = arguments.pop().at
        arguments += [Literal(at, item) for item in last.items()]
    try:
        return function(scope, node, arguments)
    except Fault as fault:
        raise _fault(
            node,
            "Error in function call",
            f'Call to function "{node.name}" failed: {fault.message}.',
        ) from None


def _unary(node: Unary, scope: Scope) -> Value:
    if node.operator == "!":
        return values.truth(not _truth(node.operand, scope))
    return values.number(-_number(node.operand, scope))


def _truth(node: Node, scope: Scope) -> bool:
    return bool(_operand(node, scope, BOOL).raw)


def _number(node: Node, scope: Scope) -> int | Decimal:
    found: int | Decimal = _operand(node, scope, NUMBER).raw
    return found


def _operand(node: Node, scope: Scope, kind: values.Type) -> Value:
    value = evaluate(node, scope)
    found = _as(kind, value, node, "Invalid operand", "Unsuitable value for the operator")
    if found.null:
        raise _fault(
            node,
            "Invalid operand",
            f"Unsuitable value for the operator: {kind} required, not null.",
        )
    return found


def _binary(node: Binary, scope: Scope) -> Value:
    operator = node.operator
    if operator in ("==", "!="):
        same = values.equal(evaluate(node.left, scope), evaluate(node.right, scope))
        return values.truth(same == (operator == "=="))
    if operator == "&&":
        return values.truth(_truth(node.left, scope) and _truth(node.right, scope))
    if operator == "||":
        return values.truth(_truth(node.left, scope) or _truth(node.right, scope))
    a, b = _number(node.left, scope), _number(node.right, scope)
    if operator in operators.COMPARISONS:
        return values.truth(operators.COMPARISONS[operator](a, b))
    return values.number(operators.arithmetic(operator, a, b))


def _conditional(node: Conditional, scope: Scope) -> Value:
    test = evaluate(node.condition, scope)
    if test.null:
        raise _fault(node.condition, "Null condition", "The condition value is null.")
    chosen = _as(
        BOOL,
        test,
        node.condition,
        "Incorrect condition type",
        "The condition expression must be of type bool",
    )
    return _either(node, scope, bool(chosen.raw))


def _either(node: Conditional, scope: Scope, chosen: bool) -> Value:
    """The chosen result, in the type that both have where the other one has a value at all."""
    taken = evaluate(node.yes if chosen else node.no, scope)
    try:
        other = evaluate(node.no if chosen else node.yes, scope)
    except BakeError:  # what is not chosen need not make sense
        return taken
    kind = convert.unify([taken.type, other.type])
    if kind is None:
        yes, no = (taken, other) if chosen else (other, taken)
        raise _fault(
            node,
            "Inconsistent conditional result types",
            "The true and false result expressions must have consistent types: the true value is "
            f"{yes.type}, but the false value is {no.type}.",
        )
    return convert.convert(taken, kind)


def _tuple(node: Tuple, scope: Scope) -> Value:
    return values.tuple_of([evaluate(item, scope) for item in node.items])


def _object(node: Object, scope: Scope) -> Value:
    fields: dict[str, Value] = {}
    for key, value in node.items:
        fields[_object_key(key, scope)] = evaluate(value, scope)
    return values.object_of(fields)


def _object_key(node: Node, scope: Scope) -> str:
    key = evaluate(node, scope)
    if key.null:
        raise _fault(node, "Null value as key", "Can't use a null value as a key.")
    try:
        return convert.as_text(key)
    except Fault:
        raise _fault(
            node,
            "Incorrect key type",
            f"Can't use this value as a key: string required, not {key.type}.",
        ) from None


def _for(node: For, scope: Scope) -> Value:
    over = evaluate(node.over, scope)
    if over.null:
        raise _fault(
            node.over,
            "Iteration over null value",
            "A null value cannot be used as the collection in a 'for' expression.",
        )
    if not (over.type.sequence or over.type.mapping):
        raise _fault(
            node.over,
            "Iteration over non-iterable value",
            f"A value of type {over.type} cannot be used as the collection in a 'for' expression.",
        )
    inner = []
    for key, item in over.elements():
        names = {node.item_name: item}
        if node.index_name:
            names[node.index_name] = key
        local = scope.bind(names)
        if node.test is None or _truth(node.test, local):
            inner.append(local)
    if node.key is not None:
        return _for_object(node, inner)
    found = [evaluate(node.value, local) for local in inner]
    if node.joined:
        return values.text("".join(convert.as_text(value) for value in found))
    return values.tuple_of(found)


def _for_object(node: For, scopes: list[Scope]) -> Value:
    assert node.key is not None
    groups: dict[str, list[Value]] = {}
    for local in scopes:
        key = _object_key(node.key, local)
        held = groups.setdefault(key, [])
        if held and not node.group:
            raise _fault(
                node.key,
                "Duplicate object key",
                f"Two different items produced the key \"{key}\" in this 'for' expression. If "
                "duplicates are expected, use the ellipsis (...) after the value expression to "
                "enable grouping by key.",
            )
        held.append(evaluate(node.value, local))
    if node.group:
        return values.object_of({key: values.tuple_of(held) for key, held in groups.items()})
    return values.object_of({key: held[0] for key, held in groups.items()})


_EVALUATE: dict[type[Node], Callable[[Any, Scope], Value]] = {
    Literal: _literal,
    JsonText: _json_text,
    Template: _template,
    Name: _name,
    Attribute: _attribute,
    Index: _index,
    Splat: _splat,
    Item: _item,
    Call: _call,
    Unary: _unary,
    Binary: _binary,
    Conditional: _conditional,
    Tuple: _tuple,
    Object: _object,
    For: _for,
}
