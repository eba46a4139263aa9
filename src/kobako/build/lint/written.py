"""Instructions as they are written: what a check needs that parsing drops."""

from __future__ import annotations

from kobako.build.dockerfile import instructions as i
from kobako.build.dockerfile.lines import read_directives, read_lines
from kobako.build.dockerfile.parse import parse_line
from kobako.build.dockerfile.words import split_flags, split_keyword
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.build.dockerfile.lines import Line
    from kobako.build.dockerfile.source import Source


class Written(Record):
    """An instruction beside its line: `keyword` in its own case, `words` without flags."""

    line: Line
    instruction: i.Instruction
    keyword: str
    words: tuple[str, ...]


def written(source: Source) -> Iterator[Written]:
    """Every instruction of a file in order. The lines are read first, as a whole; the first one
    that is no instruction raises `DockerfileError` when it is reached."""
    directives, taken = read_directives(source)
    for line in list(read_lines(source, directives, taken)):
        instruction = parse_line(source, line, directives.escape)
        keyword, rest = split_keyword(line.text)
        words = tuple(split_flags(rest, directives.escape)[1].split())
        yield Written(line, instruction, keyword, words)
