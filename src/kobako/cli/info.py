"""kobako info"""

from __future__ import annotations

from kobako.cli.flags import TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "info",
    "info [OPTIONS]",
    "Display system-wide information: privilege mode, drivers, storage",
    (Flag("format", "f", TEXT, "Format output using a Go template or 'json'"),),
    most=0,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import system

    facts = system.info(context.engine)
    form = values.text("format")
    if form:
        from kobako.cli import template

        if form == "json":
            context.out(template.to_json(facts))
        else:
            context.out(template.render(template.unescape(form), facts))
        return 0
    for title, name in (
        ("Containers", "Containers"),
        ("  Running", "ContainersRunning"),
        ("  Paused", "ContainersPaused"),
        ("  Stopped", "ContainersStopped"),
        ("Images", "Images"),
        ("Server Version", "ServerVersion"),
        ("Privilege Mode", "Mode"),
        ("Storage Driver", "Driver"),
        ("Kernel Version", "KernelVersion"),
        ("Operating System", "OperatingSystem"),
        ("Architecture", "Architecture"),
        ("CPUs", "NCPU"),
        ("Total Memory", "MemTotal"),
        ("Data Root", "DockerRootDir"),
        ("Configuration", "ConfigPath"),
    ):
        context.out(f"{title}: {facts[name]}")
    for mode, why in facts["ModesNotUsed"].items():
        context.out(f"Mode {mode} is not used: {why}")
    for registry, mirrors in facts["Mirrors"].items():
        context.out(f"Registry Mirrors of {registry}: {', '.join(mirrors)}")
    return 0
