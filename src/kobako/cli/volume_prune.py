"""kobako volume prune"""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "prune",
    "volume prune [OPTIONS]",
    "Remove unused local volumes",
    (
        Flag("all", "a", BOOL, "Remove all unused volumes, not just anonymous ones"),
        Flag("filter", "", LIST, 'Provide filter values (e.g. "all=1")', "filter"),
        Flag("force", "f", BOOL, "Do not prompt for confirmation"),
    ),
    most=0,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import listing, prune_question
    from kobako.engine import volume_store
    from kobako.errors import Invalid

    chosen = listing.filters(values.many("filter"))
    for name in chosen:
        if name not in ("all", "label", "label!"):
            raise Invalid(f"invalid filter '{name}'", hint="Known: all, label, label!")
    everything = values.on("all") or chosen.get("all", ["0"])[-1] in ("1", "true")
    kind = "all" if everything else "anonymous"
    warning = f"This will remove {kind} local volumes not used by at least one container."
    if not prune_question.agreed(warning, values.on("force")):
        return 0
    names, size = volume_store.prune(
        context.engine,
        everything=everything,
        having=chosen.get("label", ()),
        lacking=chosen.get("label!", ()),
    )
    prune_question.report(context, "Deleted Volumes", names)
    prune_question.reclaimed(context, size)
    return 0
