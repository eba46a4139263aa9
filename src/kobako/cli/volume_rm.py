"""kobako volume rm"""

from __future__ import annotations

from kobako.cli.flags import BOOL, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "rm",
    "volume rm [OPTIONS] VOLUME [VOLUME...]",
    "Remove one or more volumes",
    (Flag("force", "f", BOOL, "Force the removal of one or more volumes"),),
    least=1,
    aliases="remove",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import volume_store

    engine, force = context.engine, values.on("force")
    return context.each(words, lambda name: volume_store.remove(engine, name, force=force))
