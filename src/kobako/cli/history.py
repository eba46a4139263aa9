"""kobako history"""

from __future__ import annotations

from kobako.cli.flags import BOOL, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "history",
    "history [OPTIONS] IMAGE",
    "Show the history of an image",
    (
        Flag("format", "", TEXT, "Format output using a Go template, 'table' or 'json'"),
        Flag("human", "H", BOOL, "Print sizes and dates in human readable format", default=True),
        Flag("no-trunc", "", BOOL, "Don't truncate output"),
        Flag("quiet", "q", BOOL, "Only show image IDs"),
    ),
    least=1,
    most=1,
    completes="image",
)

_COLUMNS = (
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
)


def main(context: Context, values: Values, words: list[str]) -> int:
    import time

    from kobako.cli import listing, units
    from kobako.cli.table import ellipsis
    from kobako.engine import image_history

    whole, human = values.on("no-trunc"), values.on("human")
    rows = []
    for step in image_history.history(context.engine, words[0]):
        made = step.created_by if whole else ellipsis(step.created_by, 45)
        rows.append(
            {
                "ID": step.id if whole else step.id.removeprefix("sha256:")[:12],
                "CreatedAt": _seconds(step.created_ns),
                "CreatedSince": units.ago(time.time() - step.created_ns / 1e9)
                if human and step.created_ns
                else _seconds(step.created_ns),
                "CreatedBy": made.replace("\t", " ").replace("\n", " "),
                "Size": units.size(step.size, 3) if human else str(step.size),
                "Comment": step.comment,
            }
        )
    if values.on("quiet") and not values.given("format"):
        context.write("".join(row["ID"] + "\n" for row in rows))
        return 0
    context.write(listing.render(rows, _COLUMNS, values.text("format")))
    return 0


def _seconds(created_ns: int) -> str:
    """RFC 3339 without fractions."""
    from kobako.engine.moments import rfc3339

    return rfc3339(created_ns - created_ns % 1_000_000_000)
