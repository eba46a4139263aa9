"""kobako top"""

from __future__ import annotations

from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "top",
    "top CONTAINER [ps OPTIONS]",
    "Display the running processes of a container",
    least=1,
    stops=True,
    completes="container",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import table
    from kobako.engine import processes

    rows = processes.top(context.engine, words[0], words[1:])
    context.write(table.render(rows, least=20))
    return 0
