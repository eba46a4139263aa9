"""kobako container prune"""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "prune",
    "container prune [OPTIONS]",
    "Remove all stopped containers",
    (
        Flag("filter", "", LIST, 'Provide filter values (e.g. "until=<timestamp>")', "filter"),
        Flag("force", "f", BOOL, "Do not prompt for confirmation"),
    ),
    most=0,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import listing, prune_question
    from kobako.engine import prune

    warning = "This will remove all stopped containers."
    if not prune_question.agreed(warning, values.on("force")):
        return 0
    report = prune.containers(context.engine, listing.filters(values.many("filter")))
    prune_question.report(context, "Deleted Containers", report.containers)
    prune_question.reclaimed(context, report.reclaimed)
    return 0
