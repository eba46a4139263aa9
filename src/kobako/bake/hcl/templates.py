"""Reading HCL's templates: quoted strings, here-documents, `${}` and `%{}`."""

from __future__ import annotations

from kobako.bake import values
from kobako.bake.hcl.syntax import Conditional, For, Literal, Node, Template
from kobako.bake.source import BakeError, suggest
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.hcl.expressions import Reader
    from kobako.bake.source import Range

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_DIRECTIVES = ["if", "else", "endif", "for", "endfor"]


class _Text(Record):
    at: Range
    text: str


class _Directive(Record):
    """`%{ word ... }`: `node` is the condition of an if, the collection of a for."""

    at: Range
    word: str
    node: Node | None = None
    names: tuple[str, str] = ("", "")


_Part = _Text | _Directive | Node


def quoted(reader: Reader) -> Node:
    """A string in double quotes, with the cursor on the first."""
    start = reader.at
    reader.at += 1
    parts = _Parts(reader, quote=True).read()
    return _node(parts, reader.range(start))


def whole(reader: Reader) -> Node:
    """All the text of a reader as a template: a string of a JSON file."""
    return _node(_Parts(reader, quote=False).read(), reader.range(reader.at, reader.end))


def heredoc(reader: Reader) -> Node:
    """`<<EOT` and `<<-EOT` with what follows, with the cursor on `<<`."""
    start = reader.at
    reader.at += 2
    flush = reader.take("-")
    marker = reader.word()
    reader.take("\r")
    if not marker or not reader.take("\n"):
        raise reader.fault(
            "Invalid heredoc", "A heredoc begins with << or <<-, a marker, and the line's end.",
            start,
        )  # fmt: skip
    end, after = _heredoc_end(reader, marker, start)
    outside, reader.end = reader.end, end
    lines = _Parts(reader, quote=False).read()
    reader.at, reader.end = after, outside
    return _node(_flushed(lines) if flush else lines, reader.range(start))


def _heredoc_end(reader: Reader, marker: str, start: int) -> tuple[int, int]:
    """Where the text ends (after its last line's end) and where the marker does."""
    at = reader.at
    while at < reader.end:
        stop = reader.text.find("\n", at, reader.end)
        stop = reader.end if stop < 0 else stop
        line = reader.text[at:stop]
        if line.strip(" \t\r") == marker:
            return at, at + len(line.rstrip(" \t\r"))
        at = stop + 1
    raise reader.fault("Unterminated heredoc", f"No line with only {marker} was found.", start)


class _Parts:
    """Splits a template into literal text, interpolations and directives."""

    def __init__(self, reader: Reader, *, quote: bool) -> None:
        self.reader = reader
        self.quote = quote
        self.parts: list[_Part] = []
        self.held: list[str] = []
        self.start = reader.at
        self.trim = False

    def read(self) -> list[_Part]:
        reader = self.reader
        opening = reader.at
        while reader.at < reader.end:
            char = reader.text[reader.at]
            if self.quote and char == '"':
                self.flush()
                reader.at += 1
                return self.parts
            if self.quote and char == "\n":
                raise reader.fault(
                    "Invalid multi-line string",
                    "Quoted strings may not be split over multiple lines. To produce a "
                    "multi-line string, either use the \\n escape or a heredoc.",
                    opening - 1,
                )
            if reader.peek("$${") or reader.peek("%%{"):
                self.held.append(reader.text[reader.at + 1 : reader.at + 3])
                reader.at += 3
            elif reader.peek("${") or reader.peek("%{"):
                self._sequence()
            elif self.quote and char == "\\":
                self._escape()
            else:
                self.held.append(char)
                reader.at += 1
                if char == "\n":  # lines are tokens: what `~` and `<<-` trim is within one
                    self.flush()
        if self.quote:
            raise reader.fault(
                "Unterminated template string", "No closing quote was found.", opening - 1
            )
        self.flush()
        return self.parts

    def flush(self) -> None:
        """Ends the literal text read so far."""
        if self.held:
            text = "".join(self.held)
            text = text.lstrip() if self.trim else text
            self.parts.append(_Text(self.reader.range(self.start), text))
            self.trim = False
        self.held = []
        self.start = self.reader.at

    def _escape(self) -> None:
        reader = self.reader
        start = reader.at
        letter = reader.text[start + 1 : start + 2]
        if letter in _ESCAPES and letter:
            reader.at += 2
            self.held.append(_ESCAPES[letter])
            return
        digits = {"u": 4, "U": 8}.get(letter, 0)
        code = reader.text[start + 2 : start + 2 + digits]
        reader.at += 2 + len(code)
        try:
            if not digits or len(code) < digits:
                raise ValueError
            self.held.append(chr(int(code, 16)))
        except (ValueError, OverflowError):
            raise reader.fault(
                "Invalid escape sequence",
                'A backslash introduces \\n, \\r, \\t, \\", \\\\, \\uNNNN or \\UNNNNNNNN. '
                "For a backslash write \\\\.",
                start,
            ) from None

    def _sequence(self) -> None:
        reader = self.reader
        self.flush()
        start = reader.at
        directive = reader.text[start] == "%"
        reader.at += 2
        if reader.take("~") and self.parts and isinstance(self.parts[-1], _Text):
            last = self.parts[-1]
            self.parts[-1] = last.replace(text=last.text.rstrip())
        self.trim = False
        reader.nested += 1
        part = self._directive(start) if directive else reader.expression()
        reader.blanks()
        self.trim = reader.take("~")
        if not reader.take("}"):
            raise reader.fault(
                "Extra characters after interpolation expression",
                f"Expected a closing brace, but found {reader.found()}. If this is meant for "
                'another language, write "$${" instead of "${".',
            )
        reader.nested -= 1
        self.parts.append(part)
        self.start = reader.at

    def _directive(self, start: int) -> _Part:
        reader = self.reader
        reader.blanks()
        word = reader.word()
        if word == "if":
            return _Directive(reader.range(start), word, reader.expression())
        if word in ("else", "endif", "endfor"):
            return _Directive(reader.range(start), word)
        if word != "for":
            raise reader.fault(
                "Invalid template control keyword",
                f'"{word}" is not a valid template control keyword.{suggest(word, _DIRECTIVES)}',
                start,
            )
        reader.blanks()
        first, second = reader.word(), ""
        reader.blanks()
        if reader.take(","):
            reader.blanks()
            second = reader.word()
            reader.blanks()
        if not first or not reader.take_word("in"):
            raise reader.fault(
                "Invalid 'for' directive", "It reads %{ for item in collection }.", start
            )
        names = (first, second) if second else ("", first)
        return _Directive(reader.range(start), word, reader.expression(), names)


def _flushed(parts: list[_Part]) -> list[_Part]:
    """`<<-`: the smallest indentation of all lines is taken from each."""
    smallest, indented, newline = 1 << 30, [], True
    for at, part in enumerate(parts):
        if newline:
            if not isinstance(part, _Text):
                smallest = 0
            elif part.text.strip() or not part.text.endswith("\n"):
                smallest = min(smallest, len(part.text) - len(part.text.lstrip()))
                indented.append(at)
        newline = isinstance(part, _Text) and part.text.endswith("\n")
    for at in indented:
        part = parts[at]
        assert isinstance(part, _Text)
        parts[at] = part.replace(text=part.text[smallest:])
    return parts


def _node(parts: list[_Part], at: Range) -> Node:
    if len(parts) == 1 and isinstance(parts[0], Node):
        return parts[0]  # "${x}" is x, of whatever type
    nodes, rest = _sequence(parts, 0, at, ())
    assert rest == len(parts)
    return _joined(nodes, at)


def _joined(nodes: list[Node], at: Range) -> Node:
    if all(isinstance(node, Literal) and node.value.type == values.STRING for node in nodes):
        whole_text = "".join(node.value.raw for node in nodes if isinstance(node, Literal))
        return Literal(at, values.text(whole_text))
    return Template(at, tuple(nodes))


def _sequence(
    parts: list[_Part], index: int, at: Range, ends: tuple[str, ...]
) -> tuple[list[Node], int]:
    """Nodes up to one of the directives `ends`, and its place."""
    nodes: list[Node] = []
    while index < len(parts):
        part = parts[index]
        if isinstance(part, _Text):
            nodes.append(Literal(part.at, values.text(part.text)))
        elif isinstance(part, Node):
            nodes.append(part)
        elif part.word in ends:
            return nodes, index
        elif part.word == "if":
            node, index = _if(parts, index, part)
            nodes.append(node)
        elif part.word == "for":
            body, index = _sequence(parts, index + 1, part.at, ("endfor",))
            assert part.node is not None
            value = _joined(body, part.at)
            nodes.append(For(part.at, *part.names, part.node, None, value, joined=True))
        else:
            raise _unbalanced(part.at, f"There is nothing that %{{ {part.word} }} could belong to.")
        index += 1
    if ends:
        raise _unbalanced(at, f"Expected %{{ {' } or %{ '.join(ends)} }}.")
    return nodes, index


def _if(parts: list[_Part], index: int, opening: _Directive) -> tuple[Node, int]:
    assert opening.node is not None
    yes, index = _sequence(parts, index + 1, opening.at, ("else", "endif"))
    no: list[Node] = []
    part = parts[index]
    if isinstance(part, _Directive) and part.word == "else":
        no, index = _sequence(parts, index + 1, opening.at, ("endif",))
    empty = values.text("")
    return (
        Conditional(
            opening.at,
            opening.node,
            Template(opening.at, tuple(yes)) if yes else Literal(opening.at, empty),
            Template(opening.at, tuple(no)) if no else Literal(opening.at, empty),
        ),
        index,
    )


def _unbalanced(at: Range, detail: str) -> BakeError:
    return BakeError(at, "Unbalanced template directives", detail)
