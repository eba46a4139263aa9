"""Go templates, as far as `--format` needs them: `{{.Names}}\\t{{json .Labels}}`.

Understood: fields and nested fields, pipelines, parentheses, string, number and boolean literals,
variables (`$`, `$x := ...`), `if / else if / else`, `range`, `with`, comments, trim markers, and
the functions of docker's formatter. A `table ` prefix is the caller's business.
"""

from __future__ import annotations

from kobako.cli import template_syntax as syntax
from kobako.cli.template_functions import FUNCTIONS, show, to_json
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Scope = dict[str, Any]

__all__ = ("compile_template", "render", "to_json", "unescape")

_CONSTANTS = {"true": True, "false": False, "nil": None}


def render(source: str, data: Any) -> str:
    """`source` with `data` as the dot; `Invalid` names the fault and where it is."""
    return compile_template(source)(data)


def compile_template(source: str) -> Callable[[Any], str]:
    """A function from the dot to the text."""
    statements = syntax.parse(source)

    def run(data: Any) -> str:
        out: list[str] = []
        _execute(statements, data, {"$": data}, out)
        return "".join(out)

    return run


def unescape(text: str) -> str:
    """What docker does to a --format before parsing it: the two characters \\t become a tab."""
    return text.replace("\\t", "\t").replace("\\n", "\n")


def _execute(
    statements: Sequence[syntax.Statement], dot: Any, scope: Scope, out: list[str]
) -> None:
    for statement in statements:
        if isinstance(statement, syntax.Text):
            out.append(statement.text)
        elif isinstance(statement, syntax.Action):
            value = _evaluate(statement.value, dot, scope)
            if statement.variables:
                scope[statement.variables[0]] = value
            else:
                out.append(show(value))
        elif statement.word == "range":
            _range(statement, dot, scope, out)
        else:
            _choose(statement, dot, scope, out)


def _choose(branch: syntax.Branch, dot: Any, scope: Scope, out: list[str]) -> None:
    """`if` and `with`."""
    value = _evaluate(branch.value, dot, scope)
    inner = dict(scope)
    if branch.variables:
        inner[branch.variables[0]] = value
    if value:
        _execute(branch.body, value if branch.word == "with" else dot, inner, out)
    else:
        _execute(branch.other, dot, inner, out)


def _range(branch: syntax.Branch, dot: Any, scope: Scope, out: list[str]) -> None:
    value = _evaluate(branch.value, dot, scope)
    if isinstance(value, dict):
        pairs = [(k, value[k]) for k in sorted(value)]
    else:
        pairs = list(enumerate(value or ()))
    if not pairs:
        _execute(branch.other, dot, dict(scope), out)
    for key, item in pairs:
        inner = dict(scope)
        if len(branch.variables) == 2:
            inner[branch.variables[0]], inner[branch.variables[1]] = key, item
        elif branch.variables:
            inner[branch.variables[0]] = item
        _execute(branch.body, item, inner, out)


def _evaluate(node: syntax.Expression, dot: Any, scope: Scope) -> Any:
    if isinstance(node, syntax.Literal):
        return node.value
    if isinstance(node, syntax.Fields):
        return _fields(_evaluate(node.of, dot, scope), node.path)
    if isinstance(node, syntax.Name):
        return _name(node.name, dot, scope)
    value = _command(node.commands[0], [], dot, scope)
    for command in node.commands[1:]:
        value = _command(command, [value], dot, scope)
    return value


def _command(command: Sequence[syntax.Expression], piped: list[Any], dot: Any, scope: Scope) -> Any:
    """A function's value for its arguments and what was piped to it, or the one value there is."""
    head = command[0]
    name = head.name if isinstance(head, syntax.Name) else ""
    value = FUNCTIONS.get(name) or _evaluate(head, dot, scope)
    if callable(value):  # or a method, as `.Label` of docker's rows
        given = [_evaluate(node, dot, scope) for node in command[1:]] + piped
        try:
            return value(*given)
        except (TypeError, ValueError, IndexError, KeyError) as fault:
            raise Invalid(f"template: error calling {name}: {fault}") from None
    if len(command) > 1 or piped:
        raise Invalid(f"template: {_shown(head)} is not a function")
    return value


def _shown(node: syntax.Expression) -> str:
    if isinstance(node, syntax.Name):
        return repr(node.name)
    return repr(node.value) if isinstance(node, syntax.Literal) else "what is in parentheses"


def _name(name: str, dot: Any, scope: Scope) -> Any:
    if name == ".":
        return dot
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    if name.startswith("$"):
        variable, _, rest = name.partition(".")
        if variable not in scope:
            raise Invalid(f'template parsing error: undefined variable "{variable}"')
        return _fields(scope[variable], "." + rest) if rest else scope[variable]
    if name.startswith("."):
        return _fields(dot, name)
    raise Invalid(f'template parsing error: function "{name}" not defined')


def _fields(value: Any, path: str) -> Any:
    for field in path.strip(".").split("."):
        if isinstance(value, dict):
            # What JSON shows is what docker tries when its own type has no such field.
            holder = value if field in value else getattr(value, "document", None) or {}
            if field not in holder:
                known = ", ".join(sorted(map(str, value))[:40])
                raise Invalid(
                    f'template: can\'t evaluate field "{field}"', hint=f"known fields: {known}"
                )
            value = holder[field]
        elif value is None:
            return None
        else:
            kind = "nil pointer" if hasattr(value, "document") else type(value).__name__
            raise Invalid(f'template: can\'t evaluate field "{field}" in a {kind}')
    return value
