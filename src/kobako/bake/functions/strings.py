"""Functions of strings."""

from __future__ import annotations

import posixpath
import re
import unicodedata

from kobako.bake import values
from kobako.bake.functions import printf
from kobako.bake.functions.signature import ANY, function, whole
from kobako.bake.source import Fault
from kobako.bake.values import NUMBER, STRING, Value, list_of, list_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.bake.scope import Function

STRINGS = list_type(STRING)
_ZWJ = "\u200d"


def graphemes(word: str) -> list[str]:
    """What a reader takes for one character each: marks stay with their letter."""
    found: list[str] = []
    for char in word:
        joins = unicodedata.category(char) in ("Mn", "Me", "Mc") or char == _ZWJ
        flag = "\U0001f1e6" <= char <= "\U0001f1ff"
        if found and (
            joins
            or found[-1].endswith(_ZWJ)
            or "\U0001f3fb" <= char <= "\U0001f3ff"
            or (flag and len(found[-1]) == 1 and "\U0001f1e6" <= found[-1] <= "\U0001f1ff")
            or (char == "\n" and found[-1] == "\r")
        ):
            found[-1] += char
        else:
            found.append(char)
    return found


def _plain(body: Callable[..., str], count: int = 1) -> Function:
    """A function of strings that gives a string."""
    return function(lambda *a: values.text(body(*(v.raw for v in a))), *[STRING] * count)


def _title(word: str) -> str:
    """Go's strings.Title: the first letter of each word, where _ and digits are letters too."""
    shown, inside = [], False
    for char in word:
        shown.append(char if inside else char.title())
        inside = char.isalnum() or char == "_" or (not char.isascii() and not char.isspace())
    return "".join(shown)


def _substr(value: Value, offset: Value, length: Value) -> Value:
    chars = graphemes(value.raw)
    start, count = whole(offset, "offset"), whole(length, "length")
    if start < 0:
        start = max(0, len(chars) + start)
    end = len(chars) if count < 0 else start + count
    return values.text("".join(chars[start:end]))


def _indent(spaces: Value, value: Value) -> Value:
    pad = " " * min(10_000, max(0, whole(spaces, "the number of spaces")))
    return values.text(value.raw.replace("\n", "\n" + pad))


def _join(separator: Value, *lists: Value) -> Value:
    if not lists:
        raise Fault("at least one list is required")
    items = [item for held in lists for item in held.raw]
    if any(item.null for item in items):
        raise Fault("an element is null; cannot concatenate null values")
    return values.text(separator.raw.join(item.raw for item in items))


def _split(separator: Value, value: Value) -> Value:
    parts = value.raw.split(separator.raw) if separator.raw else list(value.raw)
    return list_of(STRING, [values.text(part) for part in parts])


def _sort(held: Value) -> Value:
    if any(item.null for item in held.raw):
        raise Fault("a null string cannot be sorted")
    return list_of(STRING, sorted(held.raw, key=lambda v: v.raw.encode("utf-8", "replace")))


def _pattern(pattern: str) -> re.Pattern[str]:
    """RE2's syntax, as far as Python has it."""
    try:
        return re.compile(pattern.replace(r"\z", r"\Z").replace("(?<", "(?P<")
                          .replace("(?P<=", "(?<=").replace("(?P<!", "(?<!"))  # fmt: skip
    except (re.error, OverflowError, RecursionError) as error:
        raise Fault(f"error parsing pattern: {error}") from None


def _regex_replace(value: Value, pattern: Value, replacement: Value) -> Value:
    compiled = _pattern(pattern.raw)

    def expand(match: re.Match[str]) -> str:
        def group(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            if found[0] == "$$":
                return "$"
            try:
                return match[int(name) if name.isdigit() else name] or ""
            except IndexError:
                return ""

        return re.sub(r"\$(?:\$|\{(\w+)\}|(\w+))", group, replacement.raw)

    return values.text(compiled.sub(expand, value.raw))


def _groups(compiled: re.Pattern[str], match: re.Match[str]) -> Value:
    def one(found: str | None) -> Value:
        return values.null(STRING) if found is None else values.text(found)

    if not compiled.groups:
        return values.text(match[0])
    if compiled.groupindex:
        if len(compiled.groupindex) != compiled.groups:
            raise Fault("invalid regexp pattern: cannot mix both named and unnamed capture groups")
        return values.object_of({name: one(match[name]) for name in compiled.groupindex})
    return values.tuple_of([one(found) for found in match.groups()])


def _regex(pattern: Value, value: Value) -> Value:
    compiled = _pattern(pattern.raw)
    match = compiled.search(value.raw)
    if match is None:
        raise Fault("pattern did not match any part of the given string")
    return _groups(compiled, match)


def _regexall(pattern: Value, value: Value) -> Value:
    compiled = _pattern(pattern.raw)
    found = [_groups(compiled, match) for match in compiled.finditer(value.raw)]
    return list_of(found[0].type if found else STRING, found)


def _sanitize(word: str) -> str:
    return "".join(c if (c.isascii() and c.isalnum()) or c in "_-" else "_" for c in word)


def _basename(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2] or ("/" if path else ".")


def _dirname(path: str) -> str:
    head = posixpath.normpath(path.rpartition("/")[0] + "/") if "/" in path else "."
    return "/" if head == "//" else head


def _format(pattern: Value, *arguments: Value) -> Value:
    return values.text(printf.formatted(pattern.raw, list(arguments)))


def _formatlist(pattern: Value, *arguments: Value) -> Value:
    lengths = {len(a.raw) for a in arguments if a.type.sequence and not a.null}
    if len(lengths) > 1:
        raise Fault(f"the lists given have different lengths: {', '.join(map(str, lengths))}")
    count = lengths.pop() if lengths else 1
    columns = [a.items() if a.type.sequence else [a] * count for a in arguments]
    rows = [printf.formatted(pattern.raw, [c[i] for c in columns]) for i in range(count)]
    return list_of(STRING, [values.text(row) for row in rows])


def _no_bytes(*_: Value) -> Value:
    raise Fault("bytes required: nothing in a bake file is a value of that type")


FUNCTIONS: dict[str, Function] = {
    "basename": _plain(_basename),
    "byteslen": function(_no_bytes, ANY),
    "bytesslice": function(_no_bytes, ANY, NUMBER, NUMBER),
    "chomp": _plain(lambda s: re.sub(r"(\r?\n)+\Z", "", s)),
    "dirname": _plain(_dirname),
    "format": function(_format, STRING, rest=ANY, nulls=True),
    "formatlist": function(_formatlist, STRING, rest=ANY, nulls=True),
    "indent": function(_indent, NUMBER, STRING),
    "join": function(_join, STRING, rest=STRINGS),
    "lower": _plain(str.lower),
    "regex": function(_regex, STRING, STRING),
    "regex_replace": function(_regex_replace, STRING, STRING, STRING),
    "regexall": function(_regexall, STRING, STRING),
    "replace": _plain(lambda s, old, new: s.replace(old, new), 3),
    "reverse": _plain(lambda s: "".join(reversed(graphemes(s)))),
    "sanitize": _plain(_sanitize),
    "sort": function(_sort, STRINGS),
    "split": function(_split, STRING, STRING),
    "strlen": function(lambda s: values.number(len(graphemes(s.raw))), STRING),
    "substr": function(_substr, STRING, NUMBER, NUMBER),
    "title": _plain(_title),
    "trim": _plain(lambda s, cut: s.strip(cut) if cut else s, 2),
    "trimprefix": _plain(str.removeprefix, 2),
    "trimspace": _plain(str.strip),
    "trimsuffix": _plain(str.removesuffix, 2),
    "upper": _plain(str.upper),
}
