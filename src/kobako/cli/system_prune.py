"""kobako system prune"""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "prune",
    "system prune [OPTIONS]",
    "Remove unused data",
    (
        Flag("all", "a", BOOL, "Remove all unused images not just dangling ones"),
        Flag("filter", "", LIST, 'Provide filter values (e.g. "label=<key>=<value>")', "filter"),
        Flag("force", "f", BOOL, "Do not prompt for confirmation"),
        Flag("volumes", "", BOOL, "Prune anonymous volumes"),
    ),
    most=0,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import listing, prune_question
    from kobako.engine import prune

    everything = values.on("all")
    images = "images without at least one container associated to them"
    if not everything:
        images = "dangling images"
    warning = (
        f"This will remove:\n  - all stopped containers\n  - all {images}\n"
        f"  - {'all' if everything else 'unused'} build cache\n"
    )
    if not prune_question.agreed(warning, values.on("force")):
        return 0
    chosen = listing.filters(values.many("filter"))
    report = prune.system(context.engine, everything=everything, filters=chosen)
    prune_question.report(context, "Deleted Containers", report.containers)
    prune_question.report(context, "Deleted Images", report.images)
    prune_question.report(context, "Deleted build cache objects", report.cache)
    prune_question.reclaimed(context, report.reclaimed)
    return 0
