"""Checks of CMD, ENTRYPOINT and HEALTHCHECK."""

from __future__ import annotations

from kobako.build.dockerfile import instructions as i
from kobako.build.lint.finding import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.build.lint.subject import Visit


def json_args_recommended(visit: Visit) -> Iterator[Finding]:
    """A shell in between gets the signals; who sets SHELL has thought of it."""
    instruction = visit.instruction
    if not isinstance(instruction, (i.Cmd, i.Entrypoint)) or not instruction.command.shell:
        return
    if visit.state.config.get("Shell"):
        return
    detail = (
        f"JSON arguments recommended for {visit.name} to prevent unintended behavior related to"
        " OS signals"
    )
    token = " ".join(instruction.command.args).partition("\n")[0]
    yield Finding("JSONArgsRecommended", detail, visit.where.start, visit.where.end, token)


def multiple_instructions_disallowed(visit: Visit) -> Iterator[Finding]:
    """Points at the earlier one: it is the one without effect."""
    before = visit.earlier.get(type(visit.instruction).__name__)
    if before is None:
        return
    detail = (
        f"Multiple {visit.name} instructions should not be used in the same stage because only the"
        " last one will be used"
    )
    name = visit.subject.keyword(before)
    where = before.where
    yield Finding("MultipleInstructionsDisallowed", detail, where.start, where.end, name)
