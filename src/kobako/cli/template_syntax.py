"""The syntax of Go templates (text/template): from the source to a tree of `Record`s."""

from __future__ import annotations

from kobako.errors import Invalid
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Token = tuple[str, Any]


class Literal(Record):
    value: Any


class Name(Record):
    """A field of the dot (`.Names`), a variable (`$x`, `$x.Field`), a function or a constant."""

    name: str


class Fields(Record):
    """`(of).path`"""

    of: Expression
    path: str


class Pipeline(Record):
    """Each command's value is the last argument of the next one."""

    commands: tuple[tuple[Expression, ...], ...]


Expression = Literal | Name | Fields | Pipeline


class Text(Record):
    text: str


class Action(Record):
    """Prints a value, or gives it to a variable."""

    variables: tuple[str, ...]
    value: Expression


class Branch(Record):
    """`word` is if, with or range."""

    word: str
    variables: tuple[str, ...]
    value: Expression
    body: tuple[Statement, ...]
    other: tuple[Statement, ...]


Statement = Text | Action | Branch


def parse(source: str) -> tuple[Statement, ...]:
    """The statements of a template. Raises `Invalid`."""
    return _Parser(_split(source)).block(("",))


def _split(source: str) -> list[tuple[str, str]]:
    """The source as ("text", ...) and ("action", ...) pieces, trim markers applied."""
    pieces: list[tuple[str, str]] = []
    at, trim = 0, False
    while True:
        start = source.find("{{", at)
        text = source[at:] if start < 0 else source[at:start]
        if trim:
            text = text.lstrip()
        if start < 0:
            pieces.append(("text", text))
            return pieces
        end = _close(source, start + 2)
        action = source[start + 2 : end]
        if action.startswith("- "):
            text, action = text.rstrip(), action[2:]
        trim = action.endswith(" -")
        if trim:
            action = action[:-2]
        pieces.append(("text", text))
        action = action.strip()
        if not action.startswith("/*"):
            pieces.append(("action", action))
        at = end + 2


def _close(source: str, at: int) -> int:
    quote = ""
    while at < len(source):
        c = source[at]
        if quote:
            if c == "\\" and quote == '"':
                at += 1
            elif c == quote:
                quote = ""
        elif c in "\"`'":
            quote = c
        elif source.startswith("}}", at):
            return at
        at += 1
    raise Invalid("template parsing error: unclosed action")


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "'": "'"}


def _tokens(action: str) -> list[Token]:
    out: list[Token] = []
    at = 0
    while at < len(action):
        c = action[at]
        if c.isspace():
            at += 1
        elif c in "()|,":
            out.append((c, c))
            at += 1
        elif action.startswith(":=", at):
            out.append((":=", ":="))
            at += 2
        elif c == "=":
            out.append(("=", "="))
            at += 1
        elif c in '"`':
            text, at = _quoted(action, at)
            out.append(("literal", text))
        elif c.isdigit() or (c == "-" and action[at + 1 : at + 2].isdigit()):
            word, at = _word(action, at, ".")
            out.append(("literal", _number(word)))
        elif c in ".$" or c.isalpha() or c == "_":
            word, at = _word(action, at, "._")
            out.append(("name", word))
        else:
            raise Invalid(f"template parsing error: unexpected {c!r} in {{{{{action}}}}}")
    return out


def _word(action: str, at: int, marks: str) -> tuple[str, int]:
    """The word that begins at `at`, of letters, digits and `marks`, and where it ends."""
    start = at
    at += 1
    while at < len(action) and (action[at].isalnum() or action[at] in marks):
        at += 1
    return action[start:at], at


def _number(word: str) -> int | float:
    try:
        return float(word) if "." in word else int(word, 0)
    except ValueError:
        raise Invalid(f"template parsing error: bad number {word!r}") from None


def _quoted(action: str, at: int) -> tuple[str, int]:
    quote, at, out = action[at], at + 1, []
    while at < len(action) and action[at] != quote:
        if action[at] == "\\" and quote == '"':
            at += 1
            out.append(_ESCAPES.get(action[at], action[at]))
        else:
            out.append(action[at])
        at += 1
    return "".join(out), at + 1


class _Parser:
    def __init__(self, pieces: list[tuple[str, str]]) -> None:
        self.pieces = pieces
        self.at = 0
        self.ended_by = ""
        self.ended_rest = ""

    def block(self, enders: tuple[str, ...]) -> tuple[Statement, ...]:
        """Statements up to an action whose first word is one of `enders` (""
        is the end of the input)."""
        found: list[Statement] = []
        while self.at < len(self.pieces):
            kind, text = self.pieces[self.at]
            self.at += 1
            if kind == "text":
                found.append(Text(text))
                continue
            word, _, rest = text.partition(" ")
            if word in ("end", "else"):
                if word not in enders:
                    raise Invalid(f"template parsing error: unexpected {{{{{word}}}}}")
                self.ended_by, self.ended_rest = word, rest.strip()
                return tuple(found)
            if word in ("if", "range", "with"):
                found.append(self.branch(word, rest))
            else:
                found.append(Action(*_statement(text)))
        if "" not in enders:
            raise Invalid("template parsing error: unexpected EOF: {{end}} is missing")
        return tuple(found)

    def branch(self, word: str, rest: str) -> Branch:
        variables, pipeline = _statement(rest)
        body = self.block(("else", "end"))
        other: tuple[Statement, ...] = ()
        if self.ended_by == "else":
            if self.ended_rest:
                again, _, condition = self.ended_rest.partition(" ")
                other = (self.branch(again, condition),)
            else:
                other = self.block(("end",))
        return Branch(word, variables, pipeline, body, other)


def _statement(text: str) -> tuple[tuple[str, ...], Pipeline]:
    """The variables an action declares or sets, and their value."""
    tokens = _tokens(text)
    variables: tuple[str, ...] = ()
    for mark in (":=", "="):
        if (mark, mark) in tokens:
            cut = tokens.index((mark, mark))
            variables = tuple(t[1] for t in tokens[:cut] if t[0] == "name")
            tokens = tokens[cut + 1 :]
            break
    value, rest = _pipeline(tokens)
    if rest:
        raise Invalid(f"template parsing error: unexpected {rest[0][1]!r} in {{{{{text}}}}}")
    return variables, value


def _pipeline(tokens: list[Token]) -> tuple[Pipeline, list[Token]]:
    """A pipeline up to the end or a closing parenthesis, and the tokens after it."""
    commands: list[list[Expression]] = [[]]
    while tokens:
        kind, value = tokens[0]
        if kind == ")":
            break
        tokens = tokens[1:]
        if kind == "|":
            commands.append([])
        elif kind == "(":
            inner, tokens = _parenthesised(tokens)
            commands[-1].append(inner)
        elif kind == "literal":
            commands[-1].append(Literal(value))
        elif kind == "name":
            commands[-1].append(Name(value))
        else:
            raise Invalid(f"template parsing error: unexpected {value!r}")
    if not all(commands):
        raise Invalid("template parsing error: missing value for command")
    return Pipeline(tuple(map(tuple, commands))), tokens


def _parenthesised(tokens: list[Token]) -> tuple[Expression, list[Token]]:
    """`pipeline)` and `pipeline).Field`, and the tokens after it."""
    inner, tokens = _pipeline(tokens)
    if not tokens or tokens[0][0] != ")":
        raise Invalid("template parsing error: unclosed left paren")
    tokens = tokens[1:]
    if tokens and tokens[0][0] == "name" and str(tokens[0][1]).startswith("."):
        return Fields(inner, tokens[0][1]), tokens[1:]
    return inner, tokens
