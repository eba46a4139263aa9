"""kobako ps"""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, NUMBER, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.containers import Container

COMMAND = Command(
    "ps",
    "ps [OPTIONS]",
    "List containers",
    (
        Flag("all", "a", BOOL, "Show all containers (default shows just running)"),
        Flag("filter", "f", LIST, "Filter output based on conditions provided", "filter"),
        Flag("format", "", TEXT, "Format output using a Go template, 'table' or 'json'"),
        Flag("last", "n", NUMBER, "Show n last created containers (includes all states)"),
        Flag("latest", "l", BOOL, "Show the latest created container (includes all states)"),
        Flag("no-trunc", "", BOOL, "Don't truncate output"),
        Flag("quiet", "q", BOOL, "Only display container IDs"),
        Flag("size", "s", BOOL, "Display total file sizes"),
    ),
    most=0,
)

_COLUMNS = (
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("RunningFor", "CREATED"),
    ("Status", "STATUS"),
    ("Ports", "PORTS"),
    ("Names", "NAMES"),
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import listing
    from kobako.engine import containers

    last = 1 if values.on("latest") else values.number("last")
    found = containers.select(
        context.engine,
        everything=values.on("all") or last > 0,
        filters=listing.filters(values.many("filter")),
        last=last,
    )
    whole, size = values.on("no-trunc"), values.on("size")
    columns = (*_COLUMNS, ("Size", "SIZE")) if size else _COLUMNS
    size = size or ".Size" in values.text("format")
    rows = [row(context, c, whole, size) for c in found]
    if values.on("quiet") and not values.given("format"):
        context.write("".join(shown["ID"] + "\n" for shown in rows))
        return 0
    context.write(listing.render(rows, columns, values.text("format")))
    return 0


def row(context: Context, container: Container, whole: bool, size: bool) -> dict[str, Any]:
    """The fields of a container, shortened unless it is to be `whole`; the size is counted if
    asked for."""
    import time

    from kobako.cli import units
    from kobako.cli.table import ellipsis

    command = _command(container)
    age = time.time() - container.created_ns / 1e9
    found: dict[str, Any] = {
        "ID": container.id if whole else container.id[:12],
        "Image": _image(container),
        "Command": _quoted(command if whole else ellipsis(command, 20)),
        "CreatedAt": units.local_time(container.created_ns),
        "RunningFor": units.ago(age),
        "Status": status(container),
        "State": container.state.status,
        "Ports": "",
        "Names": container.name,
        "Labels": ",".join(f"{k}={v}" for k, v in sorted(container.labels.items())),
        "Label": lambda key: container.labels.get(key, ""),
        "Mounts": ",".join(
            container.mounts if whole else [ellipsis(m, 15) for m in container.mounts]
        ),
        "LocalVolumes": str(sum(m["Type"] == "volume" for m in container.document["Mounts"])),
        "Networks": container.network,
        "Size": "0B",
    }
    if size:
        from kobako.engine import usage

        written, whole_size = usage.container(context.engine, container)
        found["Size"] = f"{units.size(written, 3)} (virtual {units.size(whole_size, 3)})"
    return found


def _command(container: Container) -> str:
    """The command line as docker shows it: arguments with a space in quotes."""
    arguments = (f"'{a}'" if " " in a else a for a in container.document["Args"])
    return " ".join((container.document["Path"], *arguments))


def _quoted(command: str) -> str:
    if '"' not in command and "\\" not in command and command.isprintable():
        return f'"{command}"'
    from kobako.build.gotext import quoted

    return quoted(command)


def _image(container: Container) -> str:
    """The image's name as it was given, or a short id."""
    name = container.image_ref
    return name[7:19] if name.startswith("sha256:") else name


def status(container: Container) -> str:
    """The STATUS column: `Up 3 seconds (healthy)`, `Exited (0) 12 seconds ago`, `Created`."""
    import time

    from kobako.cli import units

    state = container.state
    now = time.time()
    if state.status in ("running", "paused"):
        up = "Up " + units.duration(now - state.started_ns / 1e9)
        return up + (" (Paused)" if state.status == "paused" else _health(container))
    if state.status == "restarting":
        return f"Restarting ({state.exit_code}) {units.ago(now - state.finished_ns / 1e9)}"
    if state.status == "created":
        return "Created"
    if state.status == "dead":
        return "Dead"
    return f"Exited ({state.exit_code}) {units.ago(now - state.finished_ns / 1e9)}"


def _health(container: Container) -> str:
    """What a running container's status ends with, if it has a health check."""
    if not container.config.get("Healthcheck"):
        return ""
    from kobako.engine import health

    known = health.shown(container)
    if known is None:
        return ""
    return f" (health: {known.status})" if known.status == health.STARTING else f" ({known.status})"
