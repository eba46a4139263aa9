"""Reading an HCL file: settings and blocks."""

from __future__ import annotations

from kobako.bake.hcl.expressions import Reader
from kobako.bake.hcl.syntax import Block, Body, Setting
from kobako.bake.source import BakeError, File

_MAX_BLOCKS = 20


def parse(file: File) -> Body:
    """The syntax tree of a file. `BakeError` where it is none."""
    reader = Reader(file)
    return _body(reader, "", 0)


def _body(reader: Reader, close: str, depth: int) -> Body:
    """Settings and blocks up to `close`, or the end of the file."""
    start = reader.at
    settings: dict[str, Setting] = {}
    blocks: list[Block] = []
    while True:
        reader.blanks(lines=True)
        if close and reader.take(close):
            break
        if not reader.char():
            if close:
                at = reader.range(start - 1, start)
                raise BakeError(at, "Unclosed configuration block", "There is no closing brace.")
            break
        item = _item(reader, depth)
        if isinstance(item, Block):
            blocks.append(item)
        else:
            _add(settings, item)
        _line_end(reader, close, isinstance(item, Block))
    return Body(tuple(settings.values()), tuple(blocks), reader.range(start))


def _add(settings: dict[str, Setting], item: Setting) -> None:
    if item.name in settings:
        first = settings[item.name].at.line
        raise BakeError(
            item.at,
            "Attribute redefined",
            f'The argument "{item.name}" was already set at line {first}. '
            "Each argument may be set only once.",
        )
    settings[item.name] = item


def _line_end(reader: Reader, close: str, block: bool) -> None:
    reader.blanks(lines=False)
    if reader.char() in ("\n", "") or (close and reader.peek(close)):
        return
    raise reader.fault(
        "Missing newline after " + ("block definition" if block else "argument"),
        f"Expected the end of the line, but found {reader.found()}.",
    )


def _item(reader: Reader, depth: int) -> Setting | Block:
    start = reader.at
    if reader.char() == '"':
        raise reader.fault(
            "Invalid argument name", "Argument names must not be quoted at this level."
        )
    name = reader.word()
    if not name:
        raise reader.fault(
            "Argument or block definition required",
            f"An argument or block definition is required here, but found {reader.found()}.",
        )
    at = reader.range(start)
    reader.blanks(lines=False)
    if reader.peek("=") and not reader.peek("=="):
        reader.at += 1
        return Setting(name, reader.expression(), at)
    return _block(reader, name, start, depth)


def _block(reader: Reader, name: str, start: int, depth: int) -> Block:
    if depth > _MAX_BLOCKS:
        raise reader.fault("Nested too deeply", f"Blocks may be nested {_MAX_BLOCKS} deep.")
    labels: list[str] = []
    while not reader.peek("{"):
        if reader.peek('"'):
            labels.append(_label(reader))
        else:
            word = reader.word()
            if not word:
                raise reader.fault(
                    "Invalid block definition",
                    "Either an equals sign (for an argument) or an opening brace (for a block) "
                    f"is needed here, but found {reader.found()}.",
                )
            labels.append(word)
        reader.blanks(lines=False)
    header = reader.text[start : reader.at].rstrip()
    at = reader.range(start, start + len(header))
    reader.at += 1
    return Block(name, tuple(labels), _body(reader, "}", depth + 1), at)


def _label(reader: Reader) -> str:
    start = reader.at
    node = reader.expression()
    from kobako.bake.hcl.syntax import Literal

    if not isinstance(node, Literal) or not isinstance(node.value.raw, str):
        raise reader.fault("Invalid block label", "A label is a plain string.", start)
    label: str = node.value.raw
    return label
