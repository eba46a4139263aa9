"""The check of the comments that describe stages and arguments."""

from __future__ import annotations

from kobako.build.dockerfile import instructions as i
from kobako.build.lint.finding import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kobako.build.lint.written import Written


def invalid_definition_description(one: Written) -> Iterator[Finding]:
    instruction, comments = one.instruction, one.line.comments
    if isinstance(instruction, i.From):
        names = [instruction.name] if instruction.name else []
    elif isinstance(instruction, i.Arg):
        names = [name for name, _ in instruction.pairs]
    else:
        return
    if not comments or not names or comments[-1].split(" ", 1)[0] in names:
        return
    shown = names[0] if len(names) == 1 else "<arg_key>"
    kind = "FROM" if isinstance(instruction, i.From) else "ARG"
    where = one.line.where
    detail = f"Comment for {kind} should follow the format: `# {shown} <description>`"
    yield Finding("InvalidDefinitionDescription", detail, where.start, where.end, names[0])


def description(comments: tuple[str, ...], name: str) -> str:
    """What a comment above says of a stage or an argument: `# name description`."""
    for comment in comments:
        if name and comment.startswith(name + " "):
            return comment[len(name) + 1 :]
    return ""
