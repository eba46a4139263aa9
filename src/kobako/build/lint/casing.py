"""Checks of upper and lower case: keywords, `AS`, names of stages."""

from __future__ import annotations

from kobako.build.dockerfile import instructions as i
from kobako.build.lint.finding import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.build.dockerfile.source import Range
    from kobako.build.lint.subject import Subject
    from kobako.build.lint.written import Written


def stage_name_casing(one: Written) -> Iterator[Finding]:
    if not isinstance(one.instruction, i.From) or len(one.words) != 3:
        return
    name = one.words[2]
    if name != name.lower():
        where = one.line.where
        detail = f"Stage name '{name}' should be lowercase"
        yield Finding("StageNameCasing", detail, where.start, where.end, name)


def from_as_casing(one: Written) -> Iterator[Finding]:
    """A FROM of mixed case is told by `ConsistentInstructionCasing` alone."""
    if not isinstance(one.instruction, i.From) or len(one.words) < 3 or _mixed(one.keyword):
        return
    word = one.words[1]
    wanted = word.lower() if one.keyword.islower() else word.upper()
    if word != wanted:
        where = one.line.where
        detail = f"'{word}' and '{one.keyword}' keywords' casing do not match"
        yield Finding("FromAsCasing", detail, where.start, where.end, word)


def consistent_instruction_casing(subject: Subject) -> Iterator[Finding]:
    """The case most keywords of the stages have is right; a draw is won by upper case."""
    keywords = list(_keywords(subject))
    lower = sum(word.islower() for word, _ in keywords)
    upper = sum(word.isupper() for word, _ in keywords)
    wanted, right = ("lowercase", str.lower) if lower > upper else ("uppercase", str.upper)
    for word, where in keywords:
        if word != right(word):
            detail = f"Command '{word}' should match the case of the command majority ({wanted})"
            yield Finding("ConsistentInstructionCasing", detail, where.start, where.end, word)


def _keywords(subject: Subject) -> Iterator[tuple[str, Range]]:
    for stage in subject.dockerfile.stages:
        for instruction in (stage.start, *stage.instructions):
            yield subject.keyword(instruction), instruction.where


def _mixed(word: str) -> bool:
    return not word.islower() and not word.isupper()
