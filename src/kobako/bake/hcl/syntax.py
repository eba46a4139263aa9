"""HCL's syntax tree: every node knows the range it was read from (`at`)."""

from __future__ import annotations

from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.source import Range
    from kobako.bake.values import Value


class Node(Record):
    """An expression."""

    at: Range


class Literal(Node):
    value: Value


class Template(Node):
    """Parts are joined to one string."""

    parts: tuple[Node, ...]


class Name(Node):
    """The first word of a reference: a variable, or `target`."""

    name: str


class Attribute(Node):
    of: Node
    name: str


class Index(Node):
    of: Node
    key: Node


class Splat(Node):
    """`of[*]` and `of.*`: `each` is an expression over `Item`."""

    of: Node
    each: Node


class Item(Node):
    """The element a splat is at."""


class Call(Node):
    """`expand`: the last argument is a sequence of arguments (`f(list...)`)."""

    name: str
    arguments: tuple[Node, ...]
    expand: bool = False


class Unary(Node):
    operator: str
    operand: Node


class Binary(Node):
    operator: str
    left: Node
    right: Node


class Conditional(Node):
    condition: Node
    yes: Node
    no: Node


class Tuple(Node):
    items: tuple[Node, ...]


class Object(Node):
    """A key that is a bare word is a `Literal` already."""

    items: tuple[tuple[Node, Node], ...]


class For(Node):
    """`[for k, v in over : value if test]`; an object's has a `key`, `group` is its `...`.

    `joined`: the directive `%{ for }`, whose results are one string.
    """

    index_name: str
    item_name: str
    over: Node
    key: Node | None
    value: Node
    test: Node | None = None
    group: bool = False
    joined: bool = False


class JsonText(Node):
    """A string of a JSON bake file: a template, or an expression where one is asked for."""

    text: str


class Setting(Record):
    """`name = value` in a body."""

    name: str
    value: Node
    at: Range


class Block(Record):
    """`type "label" { body }`; `at` is its header."""

    type: str
    labels: tuple[str, ...]
    body: Body
    at: Range


class Body(Record):
    settings: tuple[Setting, ...]
    blocks: tuple[Block, ...]
    at: Range

    def get(self, name: str) -> Setting | None:
        return next((s for s in self.settings if s.name == name), None)


def keyword(node: Node | None) -> str:
    """The word where an expression is a bare word, else ""."""
    return node.name if isinstance(node, Name) else ""
