"""kobako volume ls"""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "ls",
    "volume ls [OPTIONS]",
    "List volumes",
    (
        Flag("filter", "f", LIST, 'Provide filter values (e.g. "dangling=true")', "filter"),
        Flag("format", "", TEXT, "Format output using a Go template, 'table' or 'json'"),
        Flag("quiet", "q", BOOL, "Only display volume names"),
    ),
    most=0,
    aliases="list",
)
_COLUMNS = (("Driver", "DRIVER"), ("Name", "VOLUME NAME"))


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import listing
    from kobako.engine import volume_store

    found = volume_store.select(context.engine, listing.filters(values.many("filter")))
    if values.on("quiet") and not values.given("format"):
        context.write("".join(volume.name + "\n" for volume in found))
        return 0
    rows: list[dict[str, Any]] = [
        {
            "Availability": "N/A",
            "Driver": "local",
            "Group": "N/A",
            "Labels": ",".join(f"{k}={v}" for k, v in sorted(volume.labels)),
            "Label": lambda key, labels=dict(volume.labels): labels.get(key, ""),
            "Links": "N/A",
            "Mountpoint": volume.path,
            "Name": volume.name,
            "Scope": "local",
            "Size": "N/A",
            "Status": "N/A",
        }
        for volume in found
    ]
    context.write(listing.render(rows, _COLUMNS, values.text("format")))
    return 0
