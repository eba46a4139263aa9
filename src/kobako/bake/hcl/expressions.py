"""Reading HCL's expressions (hclsyntax specification, "Expressions")."""

from __future__ import annotations

from kobako.bake import values
from kobako.bake.hcl import templates
from kobako.bake.hcl.cursor import Cursor
from kobako.bake.hcl.syntax import (
    Attribute,
    Binary,
    Call,
    Conditional,
    For,
    Index,
    Item,
    Literal,
    Name,
    Node,
    Object,
    Splat,
    Tuple,
    Unary,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.source import BakeError

_LEVELS = (("||",), ("&&",), ("==", "!="), ("<=", ">=", "<", ">"), ("+", "-"), ("*", "/", "%"))
_CONSTANTS = {"true": values.TRUE, "false": values.FALSE, "null": values.null()}


class Reader(Cursor):
    """A cursor that reads expressions."""

    def expression(self) -> Node:
        """An expression; blanks after it are not skipped where they could be a line's end."""
        self.deeper()
        self.blanks()
        condition = self._binary(0)
        here = self.at
        self.blanks()
        if not self.take("?"):
            self.at = here
            self.depth -= 1
            return condition
        yes = self.expression()
        self.blanks()
        if not self.take(":"):
            raise self.fault(
                "Missing false expression in conditional",
                "The conditional operator (...?...:...) requires a false expression, "
                "delimited by a colon.",
            )
        no = self.expression()
        self.depth -= 1
        return Conditional(condition.at.to(no.at), condition, yes, no)

    def _binary(self, lowest: int) -> Node:
        """Operands joined by operators that bind at least as tightly as level `lowest`."""
        left = self._unary()
        while True:
            here = self.at
            self.blanks()
            operator, level = self._operator()
            if level < lowest:
                self.at = here
                return left
            self.at += len(operator)
            self.blanks()
            right = self._binary(level + 1)
            left = Binary(left.at.to(right.at), operator, left, right)

    def _operator(self) -> tuple[str, int]:
        """The operator that is next and how tightly it binds; level -1 for none."""
        for level, operators in enumerate(_LEVELS):
            for operator in operators:
                if self.peek(operator):
                    return operator, level
        return "", -1

    def _unary(self) -> Node:
        self.blanks()
        start = self.at
        operator = self.char()
        if operator and operator in "-!":
            self.deeper()
            self.at += 1
            operand = self._unary()
            self.depth -= 1
            return Unary(self.range(start), operator, operand)
        return self._steps(self._term())

    def _term(self) -> Node:
        char, start = self.char(), self.at
        if char == '"':
            return templates.quoted(self)
        if self.peek("<<"):
            return templates.heredoc(self)
        if char.isdigit() and char.isascii():
            return self._number()
        if char == "(":
            return self._parentheses()
        if char == "[":
            return self._brackets()
        if char == "{":
            return self._braces()
        word = self.word()
        if not word:
            raise self._no_expression()
        if word in _CONSTANTS:
            return Literal(self.range(start), _CONSTANTS[word])
        if self.peek("::"):
            raise self.fault(
                "Invalid function name", "Functions of providers do not exist here.", start
            )
        here = self.at
        self.blanks(lines=False)
        if self.peek("("):
            return self._call(word, start)
        self.at = here
        return Name(self.range(start), word)

    def _no_expression(self) -> BakeError:
        if self.char() == "'":
            return self.fault(
                "Invalid character",
                'Single quotes are not valid. Use double quotes (") to enclose strings.',
            )
        return self.fault(
            "Invalid expression",
            f"Expected the start of an expression, but found {self.found()}.",
        )

    def _number(self) -> Node:
        start = self.at
        self._digits()
        if self.char() == "." and self.text[self.at + 1 : self.at + 2].isdigit():
            self.at += 1
            self._digits()
        if self.char() in ("e", "E"):
            here = self.at
            self.at += 1
            if self.char() in ("+", "-"):
                self.at += 1
            if not self._digits():
                self.at = here
        word = self.text[start : self.at]
        value = values.parse_number(word)
        if value is None:
            raise self.fault("Invalid number literal", f'"{word}" is not a number.', start)
        return Literal(self.range(start), values.number(value))

    def _digits(self) -> bool:
        start = self.at
        while self.at < self.end and self.text[self.at] in "0123456789":
            self.at += 1
        return self.at > start

    def _parentheses(self) -> Node:
        self.at += 1
        self.nested += 1
        inner = self.expression()
        self.blanks()
        if not self.take(")"):
            raise self.fault(
                "Unbalanced parentheses",
                "Expected a closing parenthesis to terminate the expression.",
            )
        self.nested -= 1
        return inner

    def _call(self, name: str, start: int) -> Node:
        self.at += 1
        self.nested += 1
        arguments: list[Node] = []
        expand = False
        self.blanks()
        while not self.take(")"):
            arguments.append(self.expression())
            self.blanks()
            if self.take("..."):
                expand = True
                self.blanks()
            if not self.take(",") or expand:
                self.blanks()
                if not self.take(")"):
                    raise self.fault(
                        "Missing argument separator",
                        "A comma is required to separate each function argument from the next.",
                    )
                break
            self.blanks()
        self.nested -= 1
        return Call(self.range(start), name, tuple(arguments), expand)

    def _brackets(self) -> Node:
        start = self.at
        self.at += 1
        self.nested += 1
        self.blanks()
        if self.is_word("for"):
            return self._for(start, "]")
        items: list[Node] = []
        while not self.take("]"):
            items.append(self.expression())
            self.blanks()
            if not self.take(",") and not self.peek("]"):
                raise self.fault(
                    "Missing item separator",
                    "Expected a comma to mark the beginning of the next item.",
                )
            self.blanks()
        self.nested -= 1
        return Tuple(self.range(start), tuple(items))

    def _braces(self) -> Node:
        """An object: its items end with a comma or a line's end, so lines count in here."""
        start = self.at
        self.at += 1
        outside, self.nested = self.nested, 0
        self.blanks(lines=True)
        if self.is_word("for"):
            self.nested = outside + 1
            return self._for(start, "}")
        items: list[tuple[Node, Node]] = []
        while not self.take("}"):
            key = self._key()
            self.blanks()
            if self.peek("=>") or not (self.take("=") or self.take(":")):
                raise self.fault(
                    "Missing attribute value",
                    'Expected an attribute value, introduced by an equals sign ("=").',
                )
            self.blanks(lines=True)
            items.append((key, self.expression()))
            self.blanks()
            if not self.take(",") and self.char() not in ("\n", "}"):
                raise self.fault(
                    "Missing attribute separator",
                    "Expected a newline or comma to mark the beginning of the next attribute.",
                )
            self.blanks(lines=True)
        self.nested = outside
        return Object(self.range(start), tuple(items))

    def _key(self) -> Node:
        bare = self.char() != "("
        key = self.expression()
        if bare and isinstance(key, Name):
            return Literal(key.at, values.text(key.name))
        if bare and isinstance(key, Literal) and key.value.type.kind in ("bool", "dynamic"):
            return Literal(key.at, values.text(self.text[key.at.start : key.at.end]))
        if bare and isinstance(key, Attribute | Index):
            raise self.fault(
                "Ambiguous attribute key",
                "If this expression is intended to be a reference, wrap it in parentheses. "
                "If it's instead intended as a literal name containing periods, wrap it in "
                "quotes to create a string literal.",
                key.at.start,
            )
        return key

    def _for(self, start: int, close: str) -> Node:
        self.take_word("for")
        self.blanks()
        first, second = self._for_name(), ""
        self.blanks()
        if self.take(","):
            self.blanks()
            second = self._for_name()
            self.blanks()
        if not self.take_word("in"):
            raise self.fault(
                "Invalid 'for' expression", "For expression requires the 'in' keyword."
            )
        over = self.expression()
        self.blanks()
        if not self.take(":"):
            raise self.fault(
                "Invalid 'for' expression", "For expression requires a colon after 'in'."
            )
        value, key, test, group = self.expression(), None, None, False
        self.blanks()
        if close == "}":
            if not self.take("=>"):
                raise self.fault(
                    "Invalid 'for' expression",
                    "A 'for' expression that makes an object needs key => value.",
                )
            key, value = value, self.expression()
            self.blanks()
            group = self.take("...")
            self.blanks()
        if self.take_word("if"):
            test = self.expression()
            self.blanks()
        if not self.take(close):
            raise self.fault(
                "Invalid 'for' expression", f'Expected "{close}", but found {self.found()}.'
            )
        self.nested -= 1
        names = (first, second) if second else ("", first)
        return For(self.range(start), *names, over, key, value, test, group)

    def _for_name(self) -> str:
        name = self.word()
        if not name:
            raise self.fault("Invalid 'for' expression", "For expression requires a variable name.")
        return name

    def _steps(self, node: Node) -> Node:
        """What follows a term: `.name`, `.0`, `[key]`, `.*`, `[*]`."""
        start = node.at.start
        while True:
            if self.peek(".") and not self.peek("..."):
                self.at += 1
                if self.take("*"):
                    return self._steps(self._splat(node, start, brackets=False))
                node = self._dotted(node, start)
            elif self.peek("["):
                if self.text[self.at + 1 : self.end].lstrip(" \t").startswith("*"):
                    self.at = self.text.index("*", self.at) + 1
                    self._close_index()
                    return self._splat(node, start, brackets=True)
                node = self._indexed(node, start)
            else:
                return node

    def _dotted(self, node: Node, start: int) -> Node:
        here = self.at
        name = self.word()
        if name:
            return Attribute(self.range(start), node, name)
        if self._digits():
            key = Literal(self.range(here), values.number(int(self.text[here : self.at])))
            return Index(self.range(start), node, key)
        raise self.fault("Invalid attribute name", "An attribute name is required after a dot.")

    def _indexed(self, node: Node, start: int) -> Node:
        self.at += 1
        self.nested += 1
        key = self.expression()
        self.blanks()
        self.nested -= 1
        self._close_index()
        return Index(self.range(start), node, key)

    def _close_index(self) -> None:
        self.blanks()
        if not self.take("]"):
            raise self.fault(
                "Missing close bracket on index",
                'The index operator must end with a closing bracket ("]").',
            )

    def _splat(self, node: Node, start: int, *, brackets: bool) -> Node:
        each: Node = Item(self.range(start))
        if brackets:
            each = self._steps(each)
        else:
            while self.peek(".") and not self.peek(".*"):
                self.at += 1
                each = self._dotted(each, start)
        return Splat(self.range(start), node, each)
