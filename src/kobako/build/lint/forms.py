"""Checks of forms that were given up: MAINTAINER, `ENV name value`, empty continuation lines."""

from __future__ import annotations

from kobako.build.dockerfile import instructions as i
from kobako.build.lint.finding import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.build.lint.subject import Visit
    from kobako.build.lint.written import Written


def maintainer_deprecated(one: Written) -> Iterator[Finding]:
    if isinstance(one.instruction, i.Maintainer):
        where = one.line.where
        detail = "Maintainer instruction is deprecated in favor of using label"
        yield Finding("MaintainerDeprecated", detail, where.start, where.end, one.keyword)


def no_empty_continuation(one: Written) -> Iterator[Finding]:
    """Points at the last line of the instruction, where its bodies do not count."""
    if one.line.empty_continuation:
        bodies = sum(h.content.count("\n") + 1 for h in one.line.heredocs)
        end = one.line.where.end - bodies
        yield Finding("NoEmptyContinuation", "Empty continuation line", end, end)


def legacy_key_value_format(visit: Visit) -> Iterator[Finding]:
    instruction = visit.instruction
    if not isinstance(instruction, (i.Env, i.Label)):
        return
    for pair in instruction.pairs:
        if pair.legacy:
            name = visit.name
            detail = (
                f'"{name} key=value" should be used instead of legacy "{name} key value" format'
            )
            yield Finding(
                "LegacyKeyValueFormat", detail, visit.where.start, visit.where.end, pair.name
            )
