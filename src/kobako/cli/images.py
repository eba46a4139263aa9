"""kobako images"""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.image_listing import ListedImage

COMMAND = Command(
    "images",
    "images [OPTIONS] [REPOSITORY[:TAG]]",
    "List images",
    (
        Flag("all", "a", BOOL, "Show all images (default hides intermediate images)"),
        Flag("digests", "", BOOL, "Show digests"),
        Flag("filter", "f", LIST, "Filter output based on conditions provided", "filter"),
        Flag("format", "", TEXT, "Format output using a Go template, 'table' or 'json'"),
        Flag("no-trunc", "", BOOL, "Don't truncate output"),
        Flag("quiet", "q", BOOL, "Only show image IDs"),
    ),
    most=1,
    completes="image",
)

_COLUMNS = (
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("ID", "IMAGE ID"),
    ("CreatedSince", "CREATED"),
    ("Size", "SIZE"),
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import listing
    from kobako.engine import image_listing

    pattern = words[0] if words else ""
    chosen = listing.filters(values.many("filter"))
    found = image_listing.listing(context.engine, pattern, chosen)
    whole = values.on("no-trunc")
    rows = [_row(i, whole) for i in found]
    if values.on("quiet") and not values.given("format"):
        context.write("".join(i + "\n" for i in dict.fromkeys(row["ID"] for row in rows)))
        return 0
    columns: tuple[tuple[str, str], ...] = _COLUMNS
    if values.on("digests"):
        columns = (*_COLUMNS[:2], ("Digest", "DIGEST"), *_COLUMNS[2:])
    context.write(listing.render(rows, columns, values.text("format")))
    return 0


def _row(image: ListedImage, whole: bool) -> dict[str, Any]:
    import time

    from kobako.cli import units

    known = image.created_ns > 0
    return {
        "Repository": image.repository or "<none>",
        "Tag": image.tag or "<none>",
        "Digest": image.digest or "<none>",
        "ID": image.id if whole else image.id.partition(":")[2][:12],
        "CreatedSince": units.ago(time.time() - image.created_ns / 1e9) if known else "N/A",
        "CreatedAt": units.local_time(image.created_ns) if known else "N/A",
        "Size": units.size(image.size, 3),
        "VirtualSize": units.size(image.size, 3),
        "SharedSize": "N/A",
        "UniqueSize": "N/A",
        "Containers": "N/A",
    }
