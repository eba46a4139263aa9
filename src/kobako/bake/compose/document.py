"""A YAML document whose every value knows its place."""

from __future__ import annotations

import re

from kobako.bake.source import BakeError, File, Range
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LARGEST = 100_000
"""Values of one document, those behind aliases counted each time."""
_INT = re.compile(r"[-+]?(?:0o?[0-7]+|0x[0-9a-fA-F]+|[1-9][0-9]*|0)")
_FLOAT = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d+)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class Node(Record):
    """`value` is a dict of Nodes by key, a list of them, a str, int, float, bool or None."""

    value: Any
    at: Range

    def fail(self, message: str) -> BakeError:
        return BakeError(self.at, message)

    def text(self) -> str:
        """A scalar as a string, as YAML's decoder for Go writes it."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        if isinstance(self.value, float):
            shown = repr(self.value)
            return shown.removesuffix(".0")
        if self.value is None:
            return ""
        if isinstance(self.value, dict | list):
            raise self.fail("a string is required here")
        return str(self.value)

    def get(self, name: str) -> Node | None:
        return self.value.get(name) if isinstance(self.value, dict) else None


def load(file: File) -> Node:
    """The one document of a compose file. `BakeError` when it is no YAML, or no mapping."""
    import yaml

    try:
        loader = yaml.SafeLoader(file.text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Range(file, mark.index, mark.index + 1) if mark else None
        raise BakeError(at, "Invalid YAML", str(error.problem or error.context)) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise BakeError(Range(file, 0, 1), "Invalid YAML", str(error).split("\n")[0]) from None
    whole = Range(file, 0, 1)
    if root is None:
        raise BakeError(whole, "empty compose file")
    try:
        found = _Reader(file).node(root)
    except RecursionError:
        raise BakeError(whole, "Invalid YAML", "it is nested too deeply") from None
    if not isinstance(found.value, dict):
        raise BakeError(whole, "a compose file is a mapping with services")
    return found


class _Reader:
    def __init__(self, file: File) -> None:
        self.file = file
        self.count = 0

    def node(self, node: Any) -> Node:
        self.count += 1
        at = Range(self.file, node.start_mark.index, node.end_mark.index)
        if self.count > _LARGEST:
            raise BakeError(at, "Invalid YAML", f"more than {_LARGEST} values")
        if node.id == "mapping":
            return Node(self._mapping(node), at)
        if node.id == "sequence":
            return Node([self.node(item) for item in node.value], at)
        return Node(_scalar(node), at)

    def _mapping(self, node: Any) -> dict[str, Node]:
        below: dict[str, Node] = {}
        own: dict[str, Node] = {}
        for key, value in node.value:
            name = key.value if key.id == "scalar" else ""
            at = Range(self.file, key.start_mark.index, key.end_mark.index)
            if key.id != "scalar":
                raise BakeError(at, "Invalid YAML", "a key must be a string")
            if name == "<<" and key.style is None:
                found = self.node(value).value
                for part in found if isinstance(found, list) else [Node(found, at)]:
                    if not isinstance(part.value, dict):
                        raise BakeError(at, "Invalid YAML", "<< takes mappings")
                    below = {**part.value, **below}
            elif name in own:
                raise BakeError(at, "Invalid YAML", f'the key "{name}" is already defined')
            else:
                own[name] = self.node(value)
        return {**below, **own}


def _scalar(node: Any) -> str | int | float | bool | None:
    word: str = node.value
    if node.style is not None:
        return word
    if word in _WORDS:
        return _WORDS[word]
    if _INT.fullmatch(word):
        base = (
            16
            if "x" in word
            else 8
            if len(word.lstrip("+-")) > 1 and word.lstrip("+-")[0] == "0"
            else 10
        )
        try:
            return int(word.replace("0o", "0"), base)
        except ValueError:
            return word
    if _FLOAT.fullmatch(word):
        return float(word)
    return word
