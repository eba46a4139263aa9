"""kobako network ls"""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "ls",
    "network ls [OPTIONS]",
    "List networks",
    (
        Flag("filter", "f", LIST, 'Provide filter values (e.g. "driver=host")', "filter"),
        Flag("format", "", TEXT, "Format output using a Go template, 'table' or 'json'"),
        Flag("no-trunc", "", BOOL, "Do not truncate the output"),
        Flag("quiet", "q", BOOL, "Only display network IDs"),
    ),
    most=0,
    aliases="list",
)
_COLUMNS = (("ID", "NETWORK ID"), ("Name", "NAME"), ("Driver", "DRIVER"), ("Scope", "SCOPE"))


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import listing
    from kobako.engine import networks

    found = networks.select(listing.filters(values.many("filter")))
    digits = 64 if values.on("no-trunc") else 12
    if values.on("quiet") and not values.given("format"):
        context.write("".join(network.id[:digits] + "\n" for network in found))
        return 0
    rows = [
        {
            "CreatedAt": "0001-01-01 00:00:00 +0000 UTC",
            "Driver": network.driver,
            "ID": network.id[:digits],
            "IPv6": "false",
            "Internal": "false",
            "Labels": "",
            "Name": network.name,
            "Scope": "local",
        }
        for network in found
    ]
    context.write(listing.render(rows, _COLUMNS, values.text("format")))
    return 0
