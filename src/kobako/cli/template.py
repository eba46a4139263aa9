"""Go templates, as far as `--format` needs them: `{{.Names}}\\t{{json .Labels}}`.

Understood: fields and nested fields, pipelines, parentheses, string, number and boolean literals,
variables (`$`, `$x := ...`), `if / else if / else`, `range`, `with`, comments, trim markers, and
the functions of docker's formatter. A `table ` prefix is the caller's business.
"""

from __future__ import annotations

from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Node = tuple[Any, ...]
    Scope = dict[str, Any]


def render(source: str, data: Any) -> str:
    """`source` with `data` as the dot; `Invalid` names the fault and where it is."""
    return compile_template(source)(data)


def compile_template(source: str) -> Callable[[Any], str]:
    """A function from the dot to the text."""
    parser = _Parser(_split(source))
    nodes = parser.block(("",))

    def run(data: Any) -> str:
        out: list[str] = []
        _execute(nodes, data, {"$": data}, out)
        return "".join(out)

    return run


def unescape(text: str) -> str:
    """What docker does to a --format before parsing it: the two characters \\t become a tab."""
    return text.replace("\\t", "\t").replace("\\n", "\n")


# --- reading ---------------------------------------------------------------------------------


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


def _tokens(action: str) -> list[tuple[str, Any]]:
    out: list[tuple[str, Any]] = []
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
            start = at
            at += 1
            while at < len(action) and (action[at].isalnum() or action[at] == "."):
                at += 1
            word = action[start:at]
            try:
                out.append(("literal", float(word) if "." in word else int(word, 0)))
            except ValueError:
                raise Invalid(f"template parsing error: bad number {word!r}") from None
        elif c in ".$" or c.isalpha() or c == "_":
            start = at
            at += 1
            while at < len(action) and (action[at].isalnum() or action[at] in "._"):
                at += 1
            out.append(("name", action[start:at]))
        else:
            raise Invalid(f"template parsing error: unexpected {c!r} in {{{{{action}}}}}")
    return out


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

    def block(self, enders: tuple[str, ...]) -> list[Node]:
        """Nodes up to an action whose first word is one of `enders` ("" is the end of input)."""
        nodes: list[Node] = []
        while self.at < len(self.pieces):
            kind, text = self.pieces[self.at]
            self.at += 1
            if kind == "text":
                nodes.append(("text", text))
                continue
            word, _, rest = text.partition(" ")
            if word in ("end", "else"):
                if word not in enders:
                    raise Invalid(f"template parsing error: unexpected {{{{{word}}}}}")
                self.ended_by, self.ended_rest = word, rest.strip()
                return nodes
            if word in ("if", "range", "with"):
                nodes.append(self.branch(word, rest))
            else:
                nodes.append(("action", *_statement(text)))
        if "" not in enders:
            raise Invalid("template parsing error: unexpected EOF: {{end}} is missing")
        return nodes

    def branch(self, word: str, rest: str) -> Node:
        variables, pipeline = _statement(rest)
        body = self.block(("else", "end"))
        other: list[Node] = []
        if self.ended_by == "else":
            if self.ended_rest:
                again, _, condition = self.ended_rest.partition(" ")
                other = [self.branch(again, condition)]
            else:
                other = self.block(("end",))
        return (word, variables, pipeline, body, other)


def _statement(text: str) -> tuple[list[str], Node]:
    tokens = _tokens(text)
    variables: list[str] = []
    for mark in (":=", "="):
        if (mark, mark) in tokens:
            cut = tokens.index((mark, mark))
            variables = [t[1] for t in tokens[:cut] if t[0] == "name"]
            tokens = tokens[cut + 1 :]
            break
    node, rest = _pipeline(tokens)
    if rest:
        raise Invalid(f"template parsing error: unexpected {rest[0][1]!r} in {{{{{text}}}}}")
    return variables, node


def _pipeline(tokens: list[tuple[str, Any]]) -> tuple[Node, list[tuple[str, Any]]]:
    commands: list[list[Node]] = [[]]
    while tokens:
        kind, value = tokens[0]
        if kind == ")":
            break
        tokens = tokens[1:]
        if kind == "|":
            commands.append([])
        elif kind == "(":
            node, tokens = _pipeline(tokens)
            if not tokens or tokens[0][0] != ")":
                raise Invalid("template parsing error: unclosed left paren")
            tokens = tokens[1:]
            if tokens and tokens[0][0] == "name" and str(tokens[0][1]).startswith("."):
                node = ("fields", node, tokens[0][1])
                tokens = tokens[1:]
            commands[-1].append(node)
        elif kind == "literal":
            commands[-1].append(("literal", value))
        elif kind == "name":
            commands[-1].append(("name", value))
        else:
            raise Invalid(f"template parsing error: unexpected {value!r}")
    if not all(commands):
        raise Invalid("template parsing error: missing value for command")
    return ("pipeline", commands), tokens


# --- executing -------------------------------------------------------------------------------


def _execute(nodes: list[Node], dot: Any, scope: Scope, out: list[str]) -> None:
    for node in nodes:
        kind = node[0]
        if kind == "text":
            out.append(node[1])
        elif kind == "action":
            value = _evaluate(node[2], dot, scope)
            if node[1]:
                scope[node[1][0]] = value
            else:
                out.append(show(value))
        elif kind == "range":
            _range(node, dot, scope, out)
        else:
            value = _evaluate(node[2], dot, scope)
            inner = dict(scope)
            if node[1]:
                inner[node[1][0]] = value
            if truth(value):
                _execute(node[3], value if kind == "with" else dot, inner, out)
            else:
                _execute(node[4], dot, inner, out)


def _range(node: Node, dot: Any, scope: Scope, out: list[str]) -> None:
    _, variables, pipeline, body, other = node
    value = _evaluate(pipeline, dot, scope)
    if isinstance(value, dict):
        pairs = [(k, value[k]) for k in sorted(value)]
    else:
        pairs = list(enumerate(value or ()))
    if not pairs:
        _execute(other, dot, dict(scope), out)
    for key, item in pairs:
        inner = dict(scope)
        if len(variables) == 2:
            inner[variables[0]], inner[variables[1]] = key, item
        elif variables:
            inner[variables[0]] = item
        _execute(body, item, inner, out)


def _evaluate(node: Node, dot: Any, scope: Scope) -> Any:
    kind = node[0]
    if kind == "literal":
        return node[1]
    if kind == "fields":
        return _fields(_evaluate(node[1], dot, scope), node[2])
    if kind == "name":
        return _name(node[1], dot, scope)
    value: Any = None
    for at, command in enumerate(node[1]):
        piped = [value] if at else []
        head = command[0]
        if head[0] == "name" and head[1] in FUNCTIONS:
            given = [_evaluate(n, dot, scope) for n in command[1:]] + piped
            try:
                value = FUNCTIONS[head[1]](*given)
            except (TypeError, ValueError, IndexError, KeyError) as fault:
                raise Invalid(f"template: error calling {head[1]}: {fault}") from None
        elif len(command) > 1 or piped:
            raise Invalid(f"template: {head[1]!r} is not a function")
        else:
            value = _evaluate(head, dot, scope)
    return value


def _name(name: str, dot: Any, scope: Scope) -> Any:
    if name == ".":
        return dot
    if name in ("true", "false", "nil"):
        return {"true": True, "false": False, "nil": None}[name]
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
            if field not in value:
                known = ", ".join(sorted(map(str, value))[:40])
                raise Invalid(
                    f'template: can\'t evaluate field "{field}"', hint=f"known fields: {known}"
                )
            value = value[field]
        elif value is None:
            return None
        else:
            raise Invalid(f'template: can\'t evaluate field "{field}" in a {type(value).__name__}')
    return value


def show(value: Any) -> str:
    """How Go prints a value with %v."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{show(value[k])}" for k in sorted(value)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(show, value)) + "]"
    return str(value)


def truth(value: Any) -> bool:
    return bool(value)


def to_json(value: Any) -> str:
    from kobako.fastjson import dumps

    return dumps(value).decode("utf-8", "surrogateescape")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = value.get(key, "") if isinstance(value, dict) else value[key]
    return value


def _printf(form: str, *values: Any) -> str:
    shown = [
        v if isinstance(v, (int, float)) and not isinstance(v, bool) else show(v) for v in values
    ]
    return form.replace("%v", "%s").replace("%q", '"%s"') % tuple(shown)


def _and(*values: Any) -> Any:
    for value in values:
        if not truth(value):
            return value
    return values[-1]


def _or(*values: Any) -> Any:
    for value in values:
        if truth(value):
            return value
    return values[-1]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": to_json,
    "upper": lambda s: str(s).upper(),
    "lower": lambda s: str(s).lower(),
    "title": lambda s: str(s).title(),
    "split": lambda s, sep: str(s).split(sep),
    "join": lambda parts, sep: sep.join(map(show, parts)),
    "truncate": lambda s, n: str(s)[:n],
    "pad": lambda s, before, after: " " * before + str(s) + " " * after if s else s,
    "println": lambda *v: " ".join(map(show, v)) + "\n",
    "print": lambda *v: "".join(map(show, v)),
    "printf": _printf,
    "index": _index,
    "len": len,
    "slice": lambda v, *cut: v[slice(*cut)],
    "not": lambda v: not truth(v),
    "and": _and,
    "or": _or,
    "eq": lambda a, *more: any(a == b for b in more),
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
