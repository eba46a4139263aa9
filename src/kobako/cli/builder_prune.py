"""kobako builder prune"""

from __future__ import annotations

from kobako.cli.flags import BOOL, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "prune",
    "builder prune [OPTIONS]",
    "Remove build cache",
    (
        Flag("all", "a", BOOL, "Remove all unused build cache, not just dangling ones"),
        Flag("force", "f", BOOL, "Do not prompt for confirmation"),
    ),
    most=0,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import prune_question
    from kobako.engine import prune

    if not prune_question.agreed("This will remove the build cache.", values.on("force")):
        return 0
    report = prune.build_cache(context.engine)
    prune_question.report(context, "Deleted build cache objects", report.cache)
    prune_question.reclaimed(context, report.reclaimed)
    return 0
