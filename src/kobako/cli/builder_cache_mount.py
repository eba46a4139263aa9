"""kobako builder cache-mount"""

from __future__ import annotations

from kobako.cli.flags import TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "cache-mount",
    "builder cache-mount ls | export ID | import [ID] | rm ID...",
    "Carry what RUN --mount=type=cache keeps to other machines",
    (
        Flag("format", "", TEXT, "ls: format the output"),
        Flag("input", "i", TEXT, "import: read the archive from a file, instead of STDIN"),
        Flag("output", "o", TEXT, "export: write the archive to a file, instead of STDOUT"),
    ),
    least=1,
)
_COLUMNS = (
    ("ID", "ID"),
    ("Name", "NAME"),
    ("Size", "SIZE"),
    ("InUse", "IN USE"),
    ("LastUsedAt", "LAST USED"),
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.errors import Invalid

    action, *names = words
    limits = {"ls": (0, 0), "export": (1, 1), "import": (0, 1), "rm": (1, -1)}
    if action not in limits:
        raise Invalid(
            f"'{action}' is not a kobako builder cache-mount command",
            hint=f"There are {', '.join(limits)}.",
        )
    least, most = limits[action]
    if len(names) < least or 0 <= most < len(names):
        raise Invalid(f"kobako builder cache-mount {action}: see --help for its arguments")
    actions = {"ls": _list, "export": _export, "import": _import, "rm": _remove}
    return actions[action](context, values, names)


def _list(context: Context, values: Values, names: list[str]) -> int:
    import time

    from kobako.cli import listing, units
    from kobako.engine.build import cache_mount_places as places

    rows = [
        {
            "ID": place.id,
            "Name": place.name[:12],
            "Size": units.size(place.size),
            "InUse": str(place.in_use).lower(),
            "LastUsedAt": units.ago(max(0.0, time.time() - place.used_ns / 1e9)),
        }
        for place in places.every(context.engine)
    ]
    context.write(listing.render(rows, _COLUMNS, values.text("format")))
    return 0


def _export(context: Context, values: Values, names: list[str]) -> int:
    from kobako.cli import streams
    from kobako.engine.build import cache_mount_places as places

    with streams.output(values.text("output")) as sink:
        places.export(context.engine, names[0], sink)
    return 0


def _import(context: Context, values: Values, names: list[str]) -> int:
    from kobako.cli import streams
    from kobako.engine.build import cache_mount_places as places

    path = values.text("input")
    with streams.source("" if path == "-" else path, "import") as stream:
        context.out(places.import_(context.engine, stream, names[0] if names else ""))
    return 0


def _remove(context: Context, values: Values, names: list[str]) -> int:
    from kobako.engine.build import cache_mount_places as places

    def remove(name: str) -> None:
        for place in places.find(context.engine, name):
            places.remove(place.directory, wait=True)

    return context.each(names, remove)
