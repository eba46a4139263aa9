"""Type expressions: what stands behind `type =` of a variable, and in `convert`."""

from __future__ import annotations

from kobako.bake import values
from kobako.bake.hcl import json_syntax
from kobako.bake.hcl.syntax import Call, JsonText, Literal, Name, Node, Object, Tuple
from kobako.bake.source import BakeError
from kobako.bake.values import Type

_WORDS = {
    "string": values.STRING,
    "number": values.NUMBER,
    "bool": values.BOOL,
    "any": values.DYNAMIC,
}
_OF = {"list": values.list_type, "set": values.set_type, "map": values.map_type}


def read(node: Node) -> Type:
    """`list(string)` as a type. `BakeError` where it is none."""
    node = json_syntax.expression(node)
    if isinstance(node, Name):
        if node.name in _WORDS:
            return _WORDS[node.name]
        if node.name in (*_OF, "tuple", "object"):
            raise _fault(node, f"The {node.name} type constructor requires one argument.")
        raise _fault(node, f'The keyword "{node.name}" is not a valid type specification.')
    if not isinstance(node, Call):
        raise _fault(node, "A type specification is a keyword such as string, or list(string).")
    if len(node.arguments) != 1:
        raise _fault(node, f"The {node.name} type constructor requires one argument.")
    inner = json_syntax.expression(node.arguments[0])
    if node.name in _OF:
        return _OF[node.name](read(inner))
    if node.name == "tuple" and isinstance(inner, Tuple):
        return values.tuple_type(read(item) for item in inner.items)
    if node.name == "object" and isinstance(inner, Object):
        return _object(inner)
    raise _fault(node, f'"{node.name}" is not a valid type constructor here.')


def _object(node: Object) -> Type:
    fields: dict[str, Type] = {}
    optional: list[str] = []
    for key, item in node.items:
        name = key.text if isinstance(key, JsonText) else ""
        if isinstance(key, Literal) and isinstance(key.value.raw, str):
            name = key.value.raw
        if not name:
            raise _fault(key, "An object constructor's attribute names are plain words.")
        if isinstance(item, Call) and item.name == "optional" and item.arguments:
            optional.append(name)
            item = item.arguments[0]
        fields[name] = read(item)
    return values.object_type(fields, optional)


def _fault(node: Node, detail: str) -> BakeError:
    return BakeError(node.at, "Invalid type specification", detail)
