"""`kobako __restart ID`: the monitor's last act for a container with a restart policy."""

from __future__ import annotations

from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "__restart", "__restart CONTAINER", "Restart a container that has ended", (), 1, 1
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import restarter

    restarter.carry_out(context.engine, words[0])
    return 0
