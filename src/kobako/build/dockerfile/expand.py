"""Variables in instructions: `$v ${v:-w} ${v+w} ${v:?e} ${v#p} ${v%%p} ${v/p/r}`, quotes, escapes.

Follows "Environment replacement" of the Dockerfile reference. An `Expander` belongs to one
instruction: all of its words see the same values, whatever the instruction itself assigns.
"""

from __future__ import annotations

from kobako.build.dockerfile.source import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_SPECIAL = "@*#?-$!0"


class Expander:
    """Expands words with the variables of `env`.

    `unset` collects the names that were asked for and not there; `used` those that were.
    """

    def __init__(self, env: Mapping[str, str], escape: str = "\\") -> None:
        self.env = env
        self.escape = escape
        self.used: set[str] = set()
        self.unset: set[str] = set()

    def word(self, text: str) -> str:
        """The text as one word: variables replaced, quotes and escapes removed."""
        if not any(c in text for c in ("$", "'", '"', self.escape)):
            return text
        return _Scan(self, text).run()[0]

    def words(self, text: str) -> list[str]:
        """The text as the words it splits into after expansion; quoted blanks do not split."""
        return _Scan(self, text).run()[1]

    def body(self, text: str) -> str:
        """A here-document: quotes are ordinary characters there."""
        scan = _Scan(self, text, escape="\\")
        scan.quotes = False
        return scan.run()[0]

    def label(self, text: str) -> str:
        """For showing: known variables replaced, quotes and unknown variables left alone."""
        scan = _Scan(self, text)
        scan.raw_quotes = True
        scan.skip_unset = True
        try:
            return scan.run()[0]
        except Problem:
            return text

    def get(self, name: str) -> str | None:
        value = self.env.get(name)
        (self.unset if value is None else self.used).add(name)
        return value


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


class _Scan:
    """One pass over one text."""

    def __init__(self, expander: Expander, text: str, escape: str = "") -> None:
        self.expander = expander
        self.escape = escape or expander.escape
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
        parts = parse_pattern(pattern)
        out: list[str] = []
        at = 0
        stepped = False
        while at <= len(value):
            found = _find(parts, value, at)
            if found is None:
                break
            begin, end = found
            put = _template(replacement, value[begin:end]) if every else replacement
            if begin == end == at and out and not stepped:
                put = ""  # an empty match does not follow on another
            out.append(value[at:begin] + put)
            at = end
            if not every:
                break
            stepped = begin == end
            if stepped:  # an empty match: move on by one, as every regular engine does
                out.append(value[at : at + 1])
                at += 1
        return "".join(out) + value[at:]

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


def _template(replacement: str, matched: str) -> str:
    """What `//` puts in place of a match: there `$$` is a dollar, `$0` the match, and any other
    `$name` nothing, as in Go's regexp.ReplaceAllString, which BuildKit calls."""
    if "$" not in replacement:
        return replacement
    import re

    def stands_for(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        return "$" if found[0] == "$$" else matched if name == "0" else ""

    return re.sub(r"\$(?:\$|(\w+)|\{(\w+)\})", stands_for, replacement)


def _substitute(name: str, operator: str, null_is_unset: bool, word: str, value: str | None) -> str:
    missing = value is None or (null_is_unset and value == "")
    if operator == "-":
        return word if missing else value or ""
    if operator == "+":
        return "" if missing else word
    if operator == "?":
        if missing:
            state = "unset" if value is None else "empty"
            raise Problem(f"{name}: {word or f'is not allowed to be {state}'}")
        return value or ""
    greedy = word.startswith(operator)
    parts = parse_pattern(word[1:] if greedy else word)
    text = value or ""
    if operator == "%":  # the end of a text is the beginning of the reversed one
        text = text[::-1]
        parts = [(kind, literal[::-1]) for kind, literal in reversed(parts)]
    ends = _ends(parts, text, 0)
    rest = text[ends[greedy] :] if ends else text
    return rest[::-1] if operator == "%" else rest


ANY, STAR = "?", "*"


def parse_pattern(pattern: str) -> list[tuple[str, str]]:
    """A shell pattern as (kind, text): kind "*", "?" or "" for a literal run."""
    parts: list[tuple[str, str]] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char in "*?":
            if not (char == STAR and parts and parts[-1][0] == STAR):
                parts.append((char, ""))
            continue
        if char == "\\":
            following = pattern[at : at + 1]
            if not following or following not in "}/*?\\":
                raise Problem(
                    f"invalid pattern ({pattern}) in substitution: invalid escape '\\{following}'"
                )
            char = following
            at += 1
        if parts and parts[-1][0] == "":
            parts[-1] = ("", parts[-1][1] + char)
        else:
            parts.append(("", char))
    return parts


def _ends(parts: list[tuple[str, str]], text: str, start: int) -> tuple[int, int] | None:
    """The first and the last position where a match of the pattern that begins at `start` can
    end; None where there is no match."""
    ends = {start}
    since = -1  # after a star: every position from here on
    for number, (kind, literal) in enumerate(parts):
        if kind == STAR:
            since = min(ends) if since < 0 else since
        elif kind == ANY:
            since += since >= 0
            ends = {e + 1 for e in ends if e < len(text)}
        elif since < 0:
            ends = {e + len(literal) for e in ends if text.startswith(literal, e)}
        else:
            following = parts[number + 1 : number + 2]
            found = _occurrences(literal, text, since, first=following == [(STAR, "")])
            ends, since = {at + len(literal) for at in found}, -1
        if since > len(text) or (since < 0 and not ends):
            return None
    return (min(ends), max(ends)) if since < 0 else (since, len(text))


def _occurrences(literal: str, text: str, start: int, *, first: bool) -> list[int]:
    found = []
    at = text.find(literal, start)
    while at >= 0:
        found.append(at)
        at = -1 if first else text.find(literal, at + 1)
    return found


def _find(parts: list[tuple[str, str]], text: str, start: int) -> tuple[int, int] | None:
    """The leftmost longest match from `start` on."""
    kinds = [kind for kind, _ in parts]
    head = parts[: kinds.index(STAR)] if STAR in kinds else parts
    for begin in range(start, len(text) + 1):
        if not _ends(head, text, begin):
            continue
        ends = _ends(parts, text, begin)
        if ends:
            return begin, ends[1]
        if head is not parts:  # what does not follow the star here does not follow it later
            return None
    return None


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
