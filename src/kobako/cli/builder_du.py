"""kobako builder du"""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.build.cache_usage import CacheObject

COMMAND = Command(
    "du",
    "builder du [OPTIONS]",
    "Disk usage of the build cache",
    (
        Flag("filter", "", LIST, "Provide filter values", "filter"),
        Flag("format", "", TEXT, "Format the output"),
        Flag("verbose", "", BOOL, "Tell everything about each object"),
    ),
    most=0,
)
_COLUMNS = (
    ("ID", "ID"),
    ("Reclaimable", "RECLAIMABLE"),
    ("Size", "SIZE"),
    ("LastUsedAt", "LAST ACCESSED"),
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import listing
    from kobako.engine.build import cache_usage
    from kobako.errors import Invalid

    if values.text("format") and values.on("verbose"):
        raise Invalid("--format and --verbose cannot be used together")
    filters = listing.filters(values.many("filter"))
    found = cache_usage.select(context.engine, filters)
    form = values.text("format")
    if values.on("verbose") or form == "pretty":
        context.write("".join(map(_pretty, found)))
    else:
        rows = [_row(one, table=form in ("", "table")) for one in found]
        context.write(listing.render(rows, _COLUMNS, form))
    if form in ("", "table", "pretty") and not filters:
        context.write(_summary(found))
    return 0


def _row(one: CacheObject, *, table: bool = False) -> dict[str, str]:
    """`*` marks in a table what changes in place and what images share."""
    from kobako.cli import units
    from kobako.engine import moments
    from kobako.engine.build import cache_usage

    return {
        "ID": one.id[:25] + ("*" if table and one.mutable else ""),
        "Reclaimable": str(not one.in_use).lower(),
        "Size": units.size(one.size) + ("*" if table and one.shared else ""),
        "LastUsedAt": units.ago(cache_usage.age(one)),
        "CreatedAt": moments.rfc3339(one.created_ns),
        "Mutable": str(one.mutable).lower(),
        "Shared": str(one.shared).lower(),
        "Description": one.description,
        "UsageCount": str(one.uses),
        "Type": one.kind,
    }


def _pretty(one: CacheObject) -> str:
    row = _row(one)
    lines = [
        ("ID:", one.id),
        ("Created at:", row["CreatedAt"]),
        ("Mutable:", row["Mutable"]),
        ("Reclaimable:", row["Reclaimable"]),
        ("Shared:", row["Shared"]),
        ("Size:", row["Size"]),
        ("Description:", row["Description"]),
        ("Usage count:", row["UsageCount"]),
        ("Last used:", row["LastUsedAt"]),
        ("Type:", row["Type"]),
    ]
    return "".join(f"{name:<14}{value}\n" for name, value in lines) + "\n"


def _summary(found: Sequence[CacheObject]) -> str:
    from kobako.cli import units

    total = sum(one.size for one in found)
    shared = sum(one.size for one in found if one.shared)
    spare = sum(one.size for one in found if not one.in_use)
    lines = [("Shared:", shared), ("Private:", total - shared)] if shared else []
    lines += [("Reclaimable:", spare), ("Total:", total)]
    return "".join(f"{name:<14}{units.size(size)}\n" for name, size in lines)
