"""How a function of bake files takes its arguments."""

from __future__ import annotations

from kobako.bake import convert, evaluate
from kobako.bake.source import BakeError, Fault
from kobako.bake.values import DYNAMIC, Type, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.bake.hcl.syntax import Call, Node
    from kobako.bake.scope import Function, Scope

ANY = DYNAMIC


def function(
    body: Callable[..., Value],
    *parameters: Type,
    rest: Type | None = None,
    optional: int = 0,
    nulls: bool = False,
) -> Function:
    """A function of values: arguments are converted to `parameters`, further ones to `rest`.

    The last `optional` parameters may be left out. `nulls`: a null is passed on, not refused.
    `body` raises `Fault`.
    """

    def call(scope: Scope, node: Call, arguments: list[Node]) -> Value:
        least = len(parameters) - optional
        if len(arguments) < least or (rest is None and len(arguments) > len(parameters)):
            few = len(arguments) < least
            raise BakeError(
                node.at,
                "Not enough function arguments" if few else "Too many function arguments",
                f'Function "{node.name}" expects {len(parameters)} argument(s), '
                f"{len(arguments)} given.",
            )
        given = []
        for at, argument in enumerate(arguments):
            kind = parameters[at] if at < len(parameters) else rest
            assert kind is not None
            given.append(_argument(argument, kind, scope, node.name, nulls))
        return body(*given)

    return call


def _argument(node: Node, kind: Type, scope: Scope, name: str, nulls: bool) -> Value:
    value = evaluate.evaluate(node, scope)
    try:
        if value.null and not nulls:
            raise Fault("argument must not be null")
        return convert.convert(value, kind)
    except Fault as fault:
        raise BakeError(
            node.at,
            "Invalid function argument",
            f'Invalid value for a parameter of "{name}": {fault.message}.',
        ) from None


def whole(value: Value, what: str) -> int:
    """An integer argument."""
    if not isinstance(value.raw, int):
        raise Fault(f"{what} must be a whole number")
    return value.raw
