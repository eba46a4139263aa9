"""Dockerfile text → logical lines: directives, comments, continuations, here-documents.

Follows the "Format", "Parser directives" and "Here-Documents" parts of the Dockerfile reference.
Nothing is interpreted here but what decides where a line ends.
"""

from __future__ import annotations

from kobako.build.dockerfile.source import DockerfileError, Problem, Range, Source
from kobako.build.dockerfile.words import SPACE as _SPACE
from kobako.build.dockerfile.words import heredoc_markers
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTIVES = ("syntax", "escape", "check")
_TAKES_HEREDOC = ("RUN", "COPY", "ADD")


class Heredoc(Record):
    """A here-document: `<<-"EOF"` has the name EOF, `expand` False and `chomp` True.

    `content` is as written; `text` has the leading tabs gone where `<<-` asks for it.
    """

    name: str
    content: str
    expand: bool = True
    chomp: bool = False

    @property
    def text(self) -> str:
        if not self.chomp:
            return self.content
        return "".join(line.lstrip("\t") for line in self.content.splitlines(keepends=True))


class Line(Record):
    """One instruction: `text` has its continuations joined, `original` is as written.

    `comments` are the comment lines right above, without their `#`.
    """

    where: Range
    text: str
    original: str
    heredocs: tuple[Heredoc, ...] = ()
    comments: tuple[str, ...] = ()
    empty_continuation: bool = False


class Directives(Record):
    """`# syntax=`, `# escape=` and `# check=` at the top of the file."""

    syntax: str = ""
    escape: str = "\\"
    check: str = ""


def read_directives(source: Source) -> tuple[Directives, int]:
    """The directives and how many lines they take."""
    found: dict[str, str] = {}
    lines = source.lines()
    count = 0
    for number, raw in enumerate(lines, 1):
        text = raw.removeprefix("\ufeff").strip(_SPACE) if number == 1 else raw.strip(_SPACE)
        name, equals, value = text.removeprefix("#").partition("=")
        name, value = name.strip(_SPACE).lower(), value.strip(_SPACE)
        if not text.startswith("#") or not equals or not value or name not in _DIRECTIVES:
            break
        where = Range(number, number)
        if name in found:
            raise DockerfileError(source, where, f"only one {name} parser directive can be used")
        if name == "escape" and value not in ("\\", "`"):
            problem = f"invalid escape token '{value}' does not match ` or \\"
            raise DockerfileError(source, where, problem, token=value)
        found[name] = value
        count = number
    return Directives(**found), count


def read_lines(source: Source, directives: Directives, skip: int = 0) -> Iterator[Line]:
    """The logical lines below the first `skip` lines. Raises `DockerfileError`."""
    raw = source.text.removeprefix("\ufeff").split("\n")
    if raw and raw[-1] == "":
        raw.pop()
    at = skip
    comments: list[str] = []
    while at < len(raw):
        start = at
        text = raw[at].strip("\r").lstrip(_SPACE)
        at += 1
        if text.startswith("#"):
            comment = text[1:].strip(_SPACE)
            comments = [*comments, comment] if comment else []
            continue
        text, goes_on = _continues(text, directives.escape)
        if not text and not goes_on:
            continue
        pieces = [text]
        empty = False
        while goes_on and at < len(raw):
            more = raw[at].rstrip("\r")
            at += 1
            bare = more.lstrip(_SPACE)
            if bare.startswith("#"):
                continue
            if not bare:
                empty = True
                continue
            more, goes_on = _continues(more, directives.escape)
            pieces.append(more)
        text = "".join(pieces)
        if not text.strip(_SPACE):
            continue
        heredocs, at = _heredocs(source, text, directives, raw, start, at)
        original = "\n".join(line.rstrip("\r") for line in raw[start:at])
        where = Range(start + 1, at)
        yield Line(where, text, original, heredocs, tuple(comments), empty)
        comments = []


def _continues(text: str, escape: str) -> tuple[str, bool]:
    """The line without its continuation mark, and whether it had one.

    A mark is a single escape character before optional blanks at the end of the line.
    """
    bare = text.rstrip(" \t")
    if not bare.endswith(escape) or bare.endswith(escape * 2):
        return text, False
    return bare[:-1], True


def _heredocs(
    source: Source, text: str, directives: Directives, raw: list[str], start: int, at: int
) -> tuple[tuple[Heredoc, ...], int]:
    """Reads the bodies of the here-documents the line announces; the new position."""
    if "<<" not in text:
        return (), at
    words = text.split(None, 2)
    keyword = words[0].upper()
    if keyword == "ONBUILD" and len(words) > 1:
        keyword = words[1].upper()
        text = text.split(None, 1)[1]
    if keyword not in _TAKES_HEREDOC:
        return (), at
    try:
        markers = heredoc_markers(text, directives.escape)
    except Problem as problem:
        raise DockerfileError(source, Range(start + 1, at), problem.message) from None
    found = []
    for marker in markers:
        body: list[str] = []
        while True:
            if at >= len(raw):
                where = Range(start + 1, at)
                raise DockerfileError(source, where, "unterminated heredoc", token=marker.name)
            line = raw[at]
            at += 1
            end = line.rstrip("\r")
            if (end.lstrip("\t") if marker.chomp else end) == marker.name:
                break
            body.append(line + "\n")
        found.append(Heredoc(marker.name, "".join(body), marker.expand, marker.chomp))
    return tuple(found), at
