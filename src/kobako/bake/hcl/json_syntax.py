"""Reading a bake file in JSON (HCL's JSON syntax): objects are bodies, strings templates."""

from __future__ import annotations

from kobako.bake import values
from kobako.bake.hcl import templates
from kobako.bake.hcl.cursor import Cursor
from kobako.bake.hcl.expressions import Reader
from kobako.bake.hcl.syntax import Block, Body, JsonText, Literal, Node, Object, Setting, Tuple
from kobako.bake.source import BakeError, File

_BLOCKS = {"target": 1, "group": 1, "variable": 1, "function": 1, "validation": 0}
"""The properties that are blocks, and how many labels each has."""


def parse(file: File) -> Body:
    """The body a JSON file describes. `BakeError` where it is no JSON."""
    cursor = Cursor(file)
    _blanks(cursor)
    node = _value(cursor)
    _blanks(cursor)
    if cursor.char():
        raise cursor.fault("Extraneous JSON data", "Nothing may follow the value.")
    return _body(node, top=True)


def template(node: JsonText) -> Node:
    """The string as a template."""
    file = File(node.at.file.name, node.text)
    return templates.whole(Reader(file, fixed=node.at))


def expression(node: Node) -> Node:
    """The string as an expression, where only the words of one count; other nodes as they are."""
    if not isinstance(node, JsonText):
        return node
    reader = Reader(File(node.at.file.name, node.text), fixed=node.at)
    reader.nested = 1
    found = reader.expression()
    reader.blanks()
    if reader.char():
        raise reader.fault(
            "Invalid expression", f"Unexpected {reader.found()} after the expression."
        )
    return found


def _body(node: Node, *, top: bool = False) -> Body:
    bodies = list(node.items) if isinstance(node, Tuple) else [node]
    settings: list[Setting] = []
    blocks: list[Block] = []
    for item in bodies:
        if not isinstance(item, Object):
            raise BakeError(item.at, "Incorrect JSON value type", "An object is required here.")
        for key, value in item.items:
            assert isinstance(key, JsonText)
            if key.text == "//":
                continue
            if key.text in _BLOCKS and (top or key.text == "validation"):
                _blocks(key, value, _BLOCKS[key.text], (), blocks)
            else:
                settings.append(Setting(key.text, value, key.at))
    return Body(tuple(settings), tuple(blocks), node.at)


def _blocks(
    key: JsonText, node: Node, labels: int, given: tuple[str, ...], blocks: list[Block]
) -> None:
    if not labels:
        found = list(node.items) if isinstance(node, Tuple) else [node]
        blocks += [Block(key.text, given, _body(item), item.at) for item in found]
        return
    for item in node.items if isinstance(node, Tuple) else [node]:
        if not isinstance(item, Object):
            raise BakeError(
                item.at,
                "Incorrect JSON value type",
                f"A JSON object is required, whose keys represent the {key.text} block's labels.",
            )
        for label, value in item.items:
            assert isinstance(label, JsonText)
            found = list(value.items) if isinstance(value, Tuple) else [value]
            blocks += [Block(key.text, (label.text,), _body(v), label.at) for v in found]


def _blanks(cursor: Cursor) -> None:
    while cursor.char() and cursor.char() in " \t\r\n\ufeff":
        cursor.at += 1


def _value(cursor: Cursor) -> Node:
    cursor.deeper()
    start, char = cursor.at, cursor.char()
    node: Node
    if char == "{":
        node = _object(cursor)
    elif char == "[":
        node = _array(cursor)
    elif char == '"':
        node = _text(cursor)
    else:
        node = _plain(cursor)
    cursor.depth -= 1
    assert cursor.at > start
    return node


def _object(cursor: Cursor) -> Node:
    start = cursor.at
    cursor.at += 1
    items: list[tuple[Node, Node]] = []
    _blanks(cursor)
    while not cursor.take("}"):
        if cursor.char() != '"':
            raise cursor.fault(
                "Invalid JSON object", f"Expected a quoted name, but found {cursor.found()}."
            )
        key = _text(cursor)
        _blanks(cursor)
        if not cursor.take(":"):
            raise cursor.fault("Missing property value", 'A JSON property needs a colon ":".')
        _blanks(cursor)
        items.append((key, _value(cursor)))
        _blanks(cursor)
        if cursor.take(","):
            _blanks(cursor)
            if cursor.peek("}"):
                raise cursor.fault("Trailing comma", "JSON has no trailing commas.")
        elif not cursor.peek("}"):
            raise cursor.fault(
                "Missing comma", f'Expected "," or "}}", but found {cursor.found()}.'
            )
    return Object(cursor.range(start), tuple(items))


def _array(cursor: Cursor) -> Node:
    start = cursor.at
    cursor.at += 1
    items: list[Node] = []
    _blanks(cursor)
    while not cursor.take("]"):
        items.append(_value(cursor))
        _blanks(cursor)
        if cursor.take(","):
            _blanks(cursor)
            if cursor.peek("]"):
                raise cursor.fault("Trailing comma", "JSON has no trailing commas.")
        elif not cursor.peek("]"):
            raise cursor.fault("Missing comma", f'Expected "," or "]", but found {cursor.found()}.')
    return Tuple(cursor.range(start), tuple(items))


def _text(cursor: Cursor) -> JsonText:
    import json

    start = cursor.at
    at = start + 1
    while at < cursor.end and cursor.text[at] != '"':
        if cursor.text[at] == "\n":
            break
        at += 2 if cursor.text[at] == "\\" else 1
    cursor.at = min(at + 1, cursor.end)
    raw = cursor.text[start : cursor.at]
    try:
        found = json.loads(raw)
    except ValueError:
        raise cursor.fault(
            "Invalid JSON string", "It is not closed, or has an invalid escape.", start
        ) from None
    assert isinstance(found, str)
    return JsonText(cursor.range(start), found)


def _plain(cursor: Cursor) -> Node:
    """A number, true, false or null."""
    start = cursor.at
    while cursor.char() and (cursor.char().isalnum() or cursor.char() in "+-._"):
        cursor.at += 1
    word = cursor.text[start : cursor.at]
    known = {"true": values.TRUE, "false": values.FALSE, "null": values.null()}
    if word in known:
        return Literal(cursor.range(start), known[word])
    number = values.parse_number(word) if word[:1] in tuple("-0123456789") else None
    if number is None:
        raise cursor.fault(
            "Invalid JSON value",
            f'"{word}" is no JSON value.' if word else f"Unexpected {cursor.found()}.",
            start,
        )
    return Literal(cursor.range(start), values.number(number))
