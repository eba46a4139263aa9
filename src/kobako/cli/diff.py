"""kobako diff"""

from __future__ import annotations

from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "diff",
    "diff CONTAINER",
    "Inspect changes to files or directories on a container's filesystem",
    (),
    1,
    1,
    completes="container",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import filesystem

    for change in filesystem.diff(context.engine, words[0]):
        context.out(f"{change.kind} {change.path}")
    return 0
