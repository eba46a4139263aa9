"""kobako system df"""

from __future__ import annotations

from kobako.cli.flags import BOOL, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "df",
    "system df [OPTIONS]",
    "Show disk usage",
    (
        Flag("format", "", TEXT, "Format output using a Go template, 'table' or 'json'"),
        Flag("verbose", "v", BOOL, "Show detailed information on space usage"),
    ),
    most=0,
    details="""\
The size of images is what they take on the disk: the blob of each layer, as it is pushed, and the
tree unpacked from it, as docker counts with containerd's image store. What images share is counted
once. The size that `images` shows is that of the trees.""",
)

_COLUMNS = (
    ("Type", "TYPE"),
    ("TotalCount", "TOTAL"),
    ("Active", "ACTIVE"),
    ("Size", "SIZE"),
    ("Reclaimable", "RECLAIMABLE"),
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import listing, units
    from kobako.engine import usage
    from kobako.errors import Unsupported

    if values.on("verbose"):
        if values.given("format"):
            raise Unsupported("--verbose cannot be used with --format")
        from kobako.cli import system_df_verbose

        system_df_verbose.show(context)
        return 0
    rows = []
    for part in usage.summary(context.engine):
        share = f" ({part.reclaimable * 100 // part.size}%)" if part.size else ""
        rows.append(
            {
                "Type": part.kind,
                "TotalCount": str(part.total),
                "Active": str(part.active),
                "Size": units.size(part.size),
                "Reclaimable": units.size(part.reclaimable) + share,
            }
        )
    context.write(listing.render(rows, _COLUMNS, values.text("format")))
    return 0
