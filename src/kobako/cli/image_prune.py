"""kobako image prune"""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "prune",
    "image prune [OPTIONS]",
    "Remove unused images",
    (
        Flag("all", "a", BOOL, "Remove all unused images, not just dangling ones"),
        Flag("filter", "", LIST, 'Provide filter values (e.g. "until=<timestamp>")', "filter"),
        Flag("force", "f", BOOL, "Do not prompt for confirmation"),
    ),
    most=0,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import listing, prune_question
    from kobako.engine import prune

    everything = values.on("all")
    warning = "This will remove all dangling images."
    if everything:
        warning = "This will remove all images without at least one container associated to them."
    if not prune_question.agreed(warning, values.on("force")):
        return 0
    chosen = listing.filters(values.many("filter"))
    report = prune.images(context.engine, everything=everything, filters=chosen)
    prune_question.report(context, "Deleted Images", report.images)
    prune_question.reclaimed(context, report.reclaimed)
    return 0
