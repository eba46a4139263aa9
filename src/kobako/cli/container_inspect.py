"""kobako container inspect"""

from __future__ import annotations

from kobako.cli import inspect
from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "inspect",
    "container inspect [OPTIONS] CONTAINER [CONTAINER...]",
    "Display detailed information on one or more containers",
    tuple(flag for flag in inspect.COMMAND.flags if flag.name != "type"),
    least=1,
    completes="container",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    return inspect.show(context, values, words, "container")
