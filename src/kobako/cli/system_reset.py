"""kobako system reset"""

from __future__ import annotations

from kobako.cli.flags import BOOL, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "reset",
    "system reset [OPTIONS]",
    "Stop all containers and delete the whole data root",
    (Flag("force", "f", BOOL, "Do not prompt for confirmation"),),
    most=0,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import prune_question
    from kobako.engine import system

    warning = f"This will delete everything in {context.data_root()}: containers, images, cache."
    if not prune_question.agreed(warning, values.on("force")):
        return 0
    system.reset(context.engine)
    return 0
