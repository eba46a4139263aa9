"""The form that lines must have before any is understood: words in pairs, arrays of strings.

BuildKit reads a file twice: a line without form is told before one without meaning that stands
above it.
"""

from __future__ import annotations

from kobako.build.dockerfile.instructions import Pair
from kobako.build.dockerfile.lines import read_lines
from kobako.build.dockerfile.source import DockerfileError, Problem
from kobako.build.dockerfile.words import json_strings, split_flags, split_keyword, split_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.build.dockerfile.lines import Directives
    from kobako.build.dockerfile.source import Source

_PAIRS = ("ENV", "LABEL")
_ARRAYS = ("ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME")


def check_shape(source: Source, directives: Directives, skip: int) -> None:
    """Raises the `DockerfileError` of the first line below the first `skip` that has no form."""
    for line in read_lines(source, directives, skip):
        try:
            check_line(line.text, directives.escape)
        except Problem as problem:
            message, token = problem.message, problem.token
        else:
            continue
        raise DockerfileError(source, line.where, message, token=token)


def check_line(text: str, escape: str) -> None:
    """Raises the `Problem` of a line, or of an ONBUILD's trigger, that has no form."""
    keyword, rest = split_keyword(text)
    keyword = keyword.upper()
    _, rest = split_flags(rest, escape)
    if keyword in _PAIRS:
        split_pairs(rest, keyword, escape)
    elif keyword in _ARRAYS:
        json_strings(rest)
    elif keyword == "HEALTHCHECK":
        json_strings(split_keyword(rest)[1])
    elif keyword == "ONBUILD" and rest:
        check_line(rest, escape)


def split_pairs(rest: str, keyword: str, escape: str) -> tuple[Pair, ...]:
    """`a=1 b=2` or the old `a 1` of ENV and LABEL; names may be blank here."""
    words = split_words(rest, escape)
    if words and "=" not in words[0]:
        parts = rest.split(None, 1)
        if len(parts) < 2:
            raise Problem(f"{keyword} must have two arguments", rest)
        return (Pair(parts[0], parts[1], True),)
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Problem(
                f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value', word
            )
        pairs.append(Pair(name, value))
    return tuple(pairs)
