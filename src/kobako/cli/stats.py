"""kobako stats"""

from __future__ import annotations

from kobako.cli.flags import BOOL, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.stats import Stats

COMMAND = Command(
    "stats",
    "stats [OPTIONS] [CONTAINER...]",
    "Display a live stream of container(s) resource usage statistics",
    (
        Flag("all", "a", BOOL, "Show all containers (default shows just running)"),
        Flag("format", "", TEXT, "Format output using a Go template, 'table' or 'json'"),
        Flag("no-stream", "", BOOL, "Disable streaming stats and only pull the first result"),
        Flag("no-trunc", "", BOOL, "Do not truncate output"),
    ),
    completes="container",
    details="""\
All is summed up from the container's processes: CPU in per cent of one core, the memory they have
to themselves and their part of what they share, and what they read from and wrote to disks. With
the host's network nothing is counted of that, as by docker.""",
)

_COLUMNS = (
    ("ID", "CONTAINER ID"),
    ("Name", "NAME"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
)
_CLEAR = "\033[2J\033[H"
_INTERVAL_S = 1


def main(context: Context, values: Values, words: list[str]) -> int:
    import sys
    import time

    from kobako.cli import listing
    from kobako.engine import stats
    from kobako.errors import NotFound

    stream, form = not values.on("no-stream"), values.text("format")
    meter = stats.Meter()
    meter.look(stats.select(context.engine, words, everything=values.on("all")))
    while True:
        time.sleep(_INTERVAL_S)
        try:
            found = stats.select(context.engine, words, everything=values.on("all"))
        except NotFound:  # it was there when we began
            return 0
        names = words or [container.id[:12] for container in found]
        rows = [
            _row(seen, given, values.on("no-trunc"))
            for seen, given in zip(meter.look(found), names, strict=True)
        ]
        context.write((_CLEAR if stream else "") + listing.render(rows, _COLUMNS, form))
        sys.stdout.flush()
        if not stream:
            return 0


def _row(seen: Stats, given: str, whole: bool) -> dict[str, str]:
    from kobako.cli.units import binary_size, size

    container, use = seen.container, seen.use
    share = 100 * use.memory / seen.limit if seen.limit else 0.0
    return {
        "Container": given,
        "ID": container.id if whole else container.id[:12],
        "Name": container.name,
        "CPUPerc": f"{seen.cpu:.2f}%",
        "MemUsage": f"{binary_size(use.memory)} / {binary_size(seen.limit)}",
        "MemPerc": f"{share:.2f}%",
        "NetIO": f"{size(use.received, 3)} / {size(use.sent, 3)}",
        "BlockIO": f"{size(use.read, 3)} / {size(use.written, 3)}",
        "PIDs": str(use.threads),
    }
