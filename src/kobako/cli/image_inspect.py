"""kobako image inspect"""

from __future__ import annotations

from kobako.cli import inspect
from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "inspect",
    "image inspect [OPTIONS] IMAGE [IMAGE...]",
    "Display detailed information on one or more images",
    tuple(flag for flag in inspect.COMMAND.flags if flag.name != "type"),
    least=1,
    completes="image",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    return inspect.show(context, values, words, "image")
