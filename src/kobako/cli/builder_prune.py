"""kobako builder prune"""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.build.cache_usage import Bounds

COMMAND = Command(
    "prune",
    "builder prune [OPTIONS]",
    "Remove build cache",
    (
        Flag("all", "a", BOOL, "Remove all unused build cache, not just dangling ones"),
        Flag("filter", "", LIST, 'Provide filter values (e.g., "until=24h")', "filter"),
        Flag("force", "f", BOOL, "Do not prompt for confirmation"),
        Flag("keep-storage", "", TEXT, "Amount of disk space to keep for cache", "bytes"),
        Flag("max-used-space", "", TEXT, "Maximum amount of disk space for cache", "bytes"),
        Flag("min-free-space", "", TEXT, "Amount of free disk space to reach", "bytes"),
        Flag("reserved-space", "", TEXT, "Disk space always allowed for cache", "bytes"),
        Flag("verbose", "", BOOL, "Accepted for compatibility", hidden=True),
    ),
    most=0,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import listing, prune_question
    from kobako.engine import prune

    filters = listing.filters(values.many("filter"))
    bounds = _bounds(values)
    everything = values.on("all")
    which = "all build cache" if everything else "all dangling build cache"
    if not prune_question.agreed(f"This will remove {which}.", values.on("force")):
        return 0
    report = prune.build_cache(
        context.engine, everything=everything, filters=filters, bounds=bounds
    )
    prune_question.report(context, "Deleted build cache objects", report.cache)
    prune_question.reclaimed(context, report.reclaimed)
    return 0


def _bounds(values: Values) -> Bounds | None:
    """What may stay: of several bounds the largest one, but never more than the maximum."""
    from kobako.cli.flags import size_flag
    from kobako.engine.build.cache_usage import Bounds

    names = ("keep-storage", "max-used-space", "min-free-space", "reserved-space")
    given = {name: size_flag(values, name, 0) for name in names if values.given(name)}
    free = given.pop("min-free-space", None)
    if not given and free is None:
        return None
    most = max(given.values(), default=None)
    if most is not None and "max-used-space" in given:
        most = given["max-used-space"]
    return Bounds(most, free)
