"""`kobako __reap ID`: the monitor's last act for a container made with --rm."""

from __future__ import annotations

from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command("__reap", "__reap CONTAINER", "Remove a container that has ended", (), 1, 1)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import run

    run.reap(context.engine, words[0])
    return 0
