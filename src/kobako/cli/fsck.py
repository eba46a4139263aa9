"""kobako fsck"""

from __future__ import annotations

from kobako.cli.flags import BOOL, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "fsck",
    "fsck [OPTIONS]",
    "Check the whole store, and repair it with --repair",
    (
        Flag("quiet", "q", BOOL, "Only say what is wrong"),
        Flag("repair", "", BOOL, "Remove what is broken, so that it can be fetched or built again"),
    ),
    most=0,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import system

    bad = 0
    for finding in system.fsck(context.engine, repair=values.on("repair")):
        if finding.broken:
            bad += 1
        elif values.on("quiet"):
            continue
        context.out(f"{finding.severity}: {finding.message}")
    if bad:
        context.out(f"{bad} broken object{'s' if bad > 1 else ''}")
        return 1
    if not values.on("quiet"):
        context.out("The store is whole.")
    return 0
