"""A logical line → its words: keyword, flags, quoted words, JSON arrays, here-document marks."""

from __future__ import annotations

from kobako import fastjson
from kobako.build.dockerfile.source import Problem
from kobako.record import Record

_BLANK = " \t\v\f\r\n"
SPACE = (
    " \t\v\f\r\n\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What is blank at the ends of a line: Unicode's white space, which Python's strip() exceeds."""


class Marker(Record):
    """The `<<-"EOF"` of a here-document: quoted names mean that the body is not expanded."""

    name: str
    expand: bool
    chomp: bool


def split_keyword(text: str) -> tuple[str, str]:
    """("RUN", "the rest"), both without outer blanks."""
    text = text.strip(SPACE)
    end = next((at for at, char in enumerate(text) if char in _BLANK), len(text))
    return text[:end], text[end:].strip(SPACE)


def split_flags(text: str, escape: str) -> tuple[tuple[str, ...], str]:
    """The leading `--flag` words, quotes and escapes removed, and what follows them."""
    flags: list[str] = []
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if not text.startswith("--", at):
            return tuple(flags), text[at:].strip()
        word, at = _flag(text, at, escape)
        if word == "--":
            return tuple(flags), text[at:].strip()
        flags.append(word)


def _flag(text: str, at: int, escape: str) -> tuple[str, int]:
    out: list[str] = []
    quote = ""
    while at < len(text):
        char = text[at]
        if not quote and char.isspace():
            break
        at += 1
        if char == escape and at < len(text):
            out.append(text[at])
            at += 1
        elif quote:
            if char == quote:
                quote = ""
            else:
                out.append(char)
        elif char in "'\"":
            quote = char
        elif char != escape:
            out.append(char)
    return "".join(out), at


def split_words(text: str, escape: str) -> list[str]:
    """Words as ENV, LABEL and ARG have them: quotes group and stay, escapes stay too."""
    words: list[str] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        word, at = _word(text, at, escape)
        if word:
            words.append(word)
    return words


def _word(text: str, at: int, escape: str) -> tuple[str, int]:
    out: list[str] = []
    quote = ""
    while at < len(text):
        char = text[at]
        if not quote and char.isspace():
            break
        at += 1
        if char == escape and quote != "'":
            if at == len(text):
                break
            out.append(char + text[at])
            at += 1
            continue
        if quote:
            if char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        out.append(char)
    return "".join(out), at


def split_blanks(text: str) -> list[str]:
    """Words separated by blanks, with no regard for quotes."""
    return text.split()


def json_strings(text: str) -> list[str] | None:
    """The strings of a JSON array, None when the text is not a JSON array.

    An array of anything but strings is a `Problem`.
    """
    if not text.lstrip().startswith("["):
        return None
    try:
        value = fastjson.loads(text)
    except ValueError:
        return None
    if not isinstance(value, list):
        return None
    if not all(isinstance(item, str) for item in value):
        raise Problem("when using JSON array syntax, arrays must be comprised of strings only")
    if any("\0" in item for item in value):
        raise Problem("a string in a JSON array has a NUL character")
    return [item.encode("utf-8", "replace").decode() for item in value]


def heredoc_markers(text: str, escape: str = "\\") -> list[Marker]:
    """The here-documents a line announces, in order."""
    found = []
    for word in shell_words(text):
        marker = heredoc_marker(word)
        if marker:
            found.append(marker)
    return found


def heredoc_marker(word: str) -> Marker | None:
    """`3<<-"EOF"` → its marker; None when the word is not one."""
    rest = word.lstrip("0123456789")
    if not rest.startswith("<<"):
        return None
    rest = rest[2:]
    chomp = rest.startswith("-")
    rest = (rest[1:] if chomp else rest).lstrip(" \t")
    if not rest or "<" in rest:
        return None
    name: list[str] = []
    quote = ""
    quoted = False
    at = 0
    while at < len(rest):
        char = rest[at]
        at += 1
        if quote:
            if char == quote:
                quote = ""
            else:
                name.append(char)
        elif char in "'\"":
            quote, quoted = char, True
        elif char == "\\" and at < len(rest):
            name.append(rest[at])
            at += 1
        elif char in _BLANK:
            return None
        else:
            name.append(char)
    if quote or not name:
        return None
    return Marker("".join(name), not quoted, chomp)


def shell_words(text: str) -> list[str]:
    """Words as a shell sees them, quotes and escapes kept; blanks may follow `<<`.

    A quote that is never closed ends the list: the shell will say what is wrong with it.
    """
    words: list[str] = []
    out: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char in _BLANK:
            if out:
                words.append("".join(out))
                out = []
            at += 1
        elif char in "'\"":
            end = _closing(text, at)
            if end < 0:
                return words
            out.append(text[at:end])
            at = end
        elif char == "\\":
            out.append(text[at : at + 2])
            at += 2
        elif text.startswith("<<", at):
            end = at + 2
            while end < len(text) and text[end] in " \t\r":
                end += 1
            out.append(text[at:end])
            at = end
        else:
            out.append(char)
            at += 1
    if out:
        words.append("".join(out))
    return words


def _closing(text: str, at: int) -> int:
    """The position after the quote that closes the one at `at`, -1 when there is none."""
    quote = text[at]
    at += 1
    while at < len(text):
        if text[at] == quote:
            return at + 1
        at += 2 if text[at] == "\\" and quote == '"' else 1
    return -1
