"""One pass over a text with variables, quotes and escapes: what `expand.Expander` is made of."""

from __future__ import annotations

from kobako.build.dockerfile.source import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.dockerfile.expand import Expander

_SPECIAL = "@*#?-$!0"


class _Words:
    """Collects characters into words: unquoted blanks end one."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.open: list[str] = []

    def char(self, char: str) -> None:
        if not char.isspace():
            self.open.append(char)
        else:
            self.end()

    def raw(self, text: str) -> None:
        self.open.append(text)

    def end(self) -> None:
        word = "".join(self.open)
        if word:
            self.done.append(word)
        self.open = []


class Scan:
    """One pass over one text."""

    def __init__(self, expander: Expander, text: str) -> None:
        self.expander = expander
        self.escape = expander.escape
        self.text = text
        self.at = 0
        self.quotes = True
        self.raw_quotes = False
        self.raw_escapes = False
        self.skip_unset = False

    def run(self) -> tuple[str, list[str]]:
        try:
            return self.until("")
        except Problem as problem:
            raise Problem(f"failed to process {_quoted(self.text)}: {problem.message}") from None
        except RecursionError:
            raise Problem(f"failed to process {_quoted(self.text)}: nested too deeply") from None

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        char = self.text[self.at : self.at + 1]
        self.at += 1
        return char

    def until(self, stop: str) -> tuple[str, list[str]]:
        """Everything up to the character `stop` ("": the end), which is consumed."""
        out: list[str] = []
        words = _Words()
        while self.at < len(self.text):
            char = self.take()
            if stop and char == stop:
                words.end()
                return "".join(out), words.done
            if char == "$":
                value = self.dollar()
                out.append(value)
                for c in value:
                    words.char(c)
            elif self.quotes and char in "'\"":
                value = self.single() if char == "'" else self.double()
                out.append(value)
                words.raw(value)
            elif char == self.escape:
                if self.raw_escapes:
                    out.append(char)
                    words.raw(char)
                char = self.take()
                out.append(char)
                words.raw(char)
            else:
                out.append(char)
                words.char(char)
        if stop:
            raise Problem(f"unexpected end of statement while looking for matching {stop}")
        words.end()
        return "".join(out), words.done

    def single(self) -> str:
        end = self.text.find("'", self.at)
        if end < 0:
            raise Problem("unexpected end of statement while looking for matching single-quote")
        value = self.text[self.at : end]
        self.at = end + 1
        return f"'{value}'" if self.raw_quotes else value

    def double(self) -> str:
        out: list[str] = []
        while True:
            char = self.take()
            if not char:
                raise Problem("unexpected end of statement while looking for matching double-quote")
            if char == '"':
                value = "".join(out)
                return f'"{value}"' if self.raw_quotes else value
            if char == "$":
                out.append(self.dollar())
            elif char == self.escape:
                following = self.peek()
                if not following:
                    continue
                if self.raw_escapes:
                    out.append(char)
                if following in ('"', "$", self.escape):
                    char = self.take()
                    out.append(char)
                elif not self.raw_escapes:
                    out.append(char)
            else:
                out.append(char)

    def dollar(self) -> str:
        if self.peek() != "{":
            name = self.name()
            if not name:
                return "$"
            value = self.expander.get(name)
            if value is None:
                return f"${name}" if self.skip_unset else ""
            return value
        self.at += 1
        if not self.peek():
            raise Problem("syntax error: missing '}'")
        if self.peek() in "{}:":
            raise Problem("syntax error: bad substitution")
        return self.braces()

    def name(self) -> str:
        start = self.at
        first = self.peek()
        if first.isdigit() and first:
            while self.peek().isdigit():
                self.at += 1
            return self.text[start : self.at]
        if first and first in _SPECIAL:
            self.at += 1
            return first
        while self.peek().isalnum() or self.peek() == "_":
            self.at += 1
        return self.text[start : self.at]

    def braces(self) -> str:
        start = self.at
        name = self.name()
        operator = self.take()
        if operator == "}":
            value = self.expander.get(name)
            if value is None:
                return f"${{{name}}}" if self.skip_unset else ""
            return value
        if operator == "/":
            return self.replace(name, start)
        null_is_unset = operator == ":"
        if null_is_unset:
            operator = self.take()
        if not operator:
            raise Problem("syntax error: missing '}'")
        shown = (":" if null_is_unset else "") + operator
        unsupported = Problem(f"unsupported modifier ({shown}) in substitution")
        if operator in "#%" if null_is_unset else operator not in "+-?#%":
            raise unsupported
        word = self.operand("}", "missing '}'", raw_escapes=operator in "#%")
        value = self.expander.get(name)
        if self.skip_unset and value is None:
            return "${" + self.text[start : self.at]
        if operator not in "+-?#%":  # behind a colon: only now, and the name counts as used
            raise unsupported
        if operator in "#%":
            from kobako.build.dockerfile.shell_pattern import without

            return without(operator, word, value or "")
        return _substitute(name, operator, null_is_unset, word, value)

    def replace(self, name: str, start: int) -> str:
        every = self.peek() == "/"
        if every:
            self.at += 1
        pattern = self.operand("/", "missing '/' in ${}", raw_escapes=True)
        replacement = self.operand("}", "missing '}'", raw_escapes=True)
        value = self.expander.get(name)
        if value is None:
            if self.skip_unset:
                return "${" + self.text[start : self.at]
            value = ""  # which an empty pattern, or a star, matches
        from kobako.build.dockerfile.shell_pattern import replaced

        return replaced(pattern, replacement, value, every=every)

    def operand(self, stop: str, missing: str, *, raw_escapes: bool) -> str:
        saved, self.raw_escapes = self.raw_escapes, raw_escapes
        try:
            return self.until(stop)[0]
        except Problem:
            if self.at >= len(self.text):
                raise Problem(f"syntax error: {missing}") from None
            raise
        finally:
            self.raw_escapes = saved


def _substitute(name: str, operator: str, null_is_unset: bool, word: str, value: str | None) -> str:
    missing = value is None or (null_is_unset and value == "")
    if operator == "-":
        return word if missing else value or ""
    if operator == "+":
        return "" if missing else word
    if missing:
        state = "unset" if value is None else "empty"
        raise Problem(f"{name}: {word or f'is not allowed to be {state}'}")
    return value or ""


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
