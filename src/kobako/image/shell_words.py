"""Words as Dockerfile instructions write them: quotes, backslashes, `$NAME` and `${NAME:-word}`.

Dockerfile reference, "Environment replacement".
"""

from __future__ import annotations

from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_NESTING_LIMIT = 32


def split(text: str) -> list[str]:
    """The words of `text`, parted by blanks outside quotes; quotes and backslashes are kept."""
    words: list[str] = []
    word, quote, i = "", "", 0
    while i < len(text):
        c = text[i]
        if c == "\\" and quote != "'" and i + 1 < len(text):
            word += text[i : i + 2]
            i += 2
            continue
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c in " \t":
            if word:
                words.append(word)
            word = ""
            i += 1
            continue
        word += c
        i += 1
    if quote:
        raise Invalid(f"{text!r} has an unclosed {quote} quote")
    return [*words, word] if word else words


def expand(word: str, variables: Mapping[str, str]) -> str:
    """`word` with quotes removed and variables put in; unset ones are empty."""
    return _Expansion(word, variables).run()


class _Expansion:
    def __init__(self, word: str, variables: Mapping[str, str], depth: int = 0) -> None:
        if depth > _NESTING_LIMIT:
            raise Invalid("variables are nested too deeply")
        self._word = word
        self._variables = variables
        self._depth = depth
        self._at = 0

    def run(self) -> str:
        out: list[str] = []
        quote = ""
        word = self._word
        while self._at < len(word):
            c = word[self._at]
            self._at += 1
            if quote == "'":
                if c == "'":
                    quote = ""
                else:
                    out.append(c)
            elif c == "\\" and self._at < len(word):
                following = word[self._at]
                self._at += 1
                out.append(following if not quote or following in '"$\\' else c + following)
            elif c == "$":
                out.append(self._variable())
            elif c == quote:
                quote = ""
            elif c in "'\"" and not quote:
                quote = c
            else:
                out.append(c)
        return "".join(out)

    def _variable(self) -> str:
        word = self._word
        if self._at < len(word) and word[self._at] == "{":
            self._at += 1
            return self._braced()
        name = self._name()
        return self._variables.get(name, "") if name else "$"

    def _name(self) -> str:
        start = self._at
        while self._at < len(self._word) and (
            self._word[self._at].isalnum() or self._word[self._at] == "_"
        ):
            self._at += 1
        return self._word[start : self._at]

    def _braced(self) -> str:
        name = self._name()
        rest = self._until_brace()
        value = self._variables.get(name)
        if not name:
            raise Invalid(f"{self._word!r} has a ${{}} without a name")
        if not rest:
            return value or ""
        colon = rest[0] == ":"
        operator, argument = (rest[1:2], rest[2:]) if colon else (rest[:1], rest[1:])
        if operator not in ("-", "+", "?"):
            raise Invalid(f"{self._word!r} has an unknown modifier in ${{{name}{rest}}}")
        given = bool(value) if colon else value is not None
        alternative = _Expansion(argument, self._variables, self._depth + 1).run()
        if operator == "+":
            return alternative if given else ""
        if operator == "?" and not given:
            raise Invalid(f"{name}: {alternative or 'not set'}")
        return value or "" if given else alternative

    def _until_brace(self) -> str:
        depth, start = 1, self._at
        while self._at < len(self._word):
            c = self._word[self._at]
            self._at += 1
            if c == "\\":
                self._at += 1
            elif c == "{":
                depth += 1
            elif c == "}":
                depth -= 1
                if depth == 0:
                    return self._word[start : self._at - 1]
        raise Invalid(f"{self._word!r} has an unclosed ${{")
