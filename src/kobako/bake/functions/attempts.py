"""Functions that look at expressions: `try`, `can`, `convert`; and `homedir`."""

from __future__ import annotations

from kobako.bake import convert, types, values
from kobako.bake.evaluate import evaluate
from kobako.bake.source import BakeError, Fault
from kobako.bake.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.hcl.syntax import Call, Node
    from kobako.bake.scope import Function, Scope


def _try(scope: Scope, node: Call, arguments: list[Node]) -> Value:
    if not arguments:
        raise Fault("at least one argument is required")
    faults = []
    for argument in arguments:
        try:
            return evaluate(argument, scope)
        except BakeError as error:
            faults.append(f"- {error}")
    raise Fault("no expression succeeded:\n" + "\n".join(faults))


def _can(scope: Scope, node: Call, arguments: list[Node]) -> Value:
    if len(arguments) != 1:
        raise Fault("exactly one argument is required")
    try:
        evaluate(arguments[0], scope)
    except BakeError:
        return values.FALSE
    return values.TRUE


def _convert(scope: Scope, node: Call, arguments: list[Node]) -> Value:
    if len(arguments) != 2:
        raise Fault("a value and a type are required")
    return convert.convert(evaluate(arguments[0], scope), types.read(arguments[1]))


def _homedir(scope: Scope, node: Call, arguments: list[Node]) -> Value:
    if arguments:
        raise Fault("it takes no arguments")
    return values.text(scope.outer.world.home)


FUNCTIONS: dict[str, Function] = {
    "can": _can,
    "convert": _convert,
    "homedir": _homedir,
    "try": _try,
}
