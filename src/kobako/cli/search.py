"""kobako search"""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, NUMBER, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.remote.search import Found

COMMAND = Command(
    "search",
    "search [OPTIONS] TERM",
    "Search a registry for images: Docker Hub, or the one whose name stands before the term",
    (
        Flag("filter", "f", LIST, "Filter output based on conditions provided", "filter"),
        Flag("format", "", TEXT, "Pretty-print search using a Go template"),
        Flag("limit", "", NUMBER, "Max number of search results", default=25),
        Flag("no-trunc", "", BOOL, "Don't truncate output"),
    ),
    least=1,
    most=1,
)
_COLUMNS = (
    ("Name", "NAME"),
    ("Description", "DESCRIPTION"),
    ("StarCount", "STARS"),
    ("IsOfficial", "OFFICIAL"),
)
_LONGEST = 45


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import listing
    from kobako.engine import registry_search

    filters = listing.filters(values.many("filter"))
    found = registry_search.search(context.engine, words[0], values.number("limit"), filters)
    form = values.text("format")
    rows = [_row(one, whole=values.on("no-trunc"), json="json" in form) for one in found]
    context.write(listing.render(rows, _COLUMNS, form))
    return 0


def _row(found: Found, *, whole: bool, json: bool) -> dict[str, str]:
    from kobako.cli import table

    yes, no = ("true", "false") if json else ("[OK]", "")
    return {
        "Name": found.name,
        "Description": found.description if whole else table.ellipsis(found.description, _LONGEST),
        "StarCount": str(found.stars),
        "IsOfficial": yes if found.official else no,
        "IsAutomated": yes if found.automated else no,
    }
