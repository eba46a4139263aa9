"""kobako hub gc"""

from __future__ import annotations

from kobako.cli.flags import Command
from kobako.cli.hub_flags import DATA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "gc",
    "hub gc [OPTIONS]",
    "Remove content of a registry that no repository needs",
    (DATA,),
    most=0,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import prune_question
    from kobako.cli.hub_flags import data_dir
    from kobako.hub.hub import Hub

    hub = Hub.open(data_dir(context, values))
    try:
        prune_question.reclaimed(context, hub.gc().freed)
    finally:
        hub.close()
    return 0
