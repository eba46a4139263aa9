"""`kobako __probe ID PID`: what carries out the health check of a container while it runs."""

from __future__ import annotations

from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "__probe", "__probe CONTAINER PID", "Carry out a container's health check", (), 2, 2
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import prober

    prober.carry_out(context.engine, words[0], int(words[1]))
    return 0
