"""kobako info"""

from __future__ import annotations

from kobako.cli.flags import TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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
    context.write(_text(facts))
    return 0


def _text(facts: dict[str, Any]) -> str:
    """In docker's lines, with those about modes, the configuration and mirrors."""
    from kobako.cli import units

    shown = {
        **facts,
        "Volume": "local",
        "Network": " ".join(facts["Plugins"]["Network"]),
        "Log": " ".join(facts["Plugins"]["Log"]),
        "Swarm": facts["Swarm"]["LocalNodeState"],
        "MemTotal": units.binary_size(facts["MemTotal"]),
    }
    lines = [
        "Client:",
        f" Version:    {facts['ServerVersion']}",
        " Debug Mode: false",
        "",
        "Server:",
    ]
    lines += [f" {title}: {shown[name]}" if name else f" {title}:" for title, name in _LINES]
    if not facts["ProcessIsolation"]:
        lines.append(
            " Process Isolation: none: a container sees and shares the processes around it"
        )
    lines += [f" Mode {mode} is not used: {why}" for mode, why in facts["ModesNotUsed"].items()]
    for registry, mirrors in facts["Mirrors"].items():
        lines += [f" Registry Mirrors of {registry}:", *(f"  {mirror}" for mirror in mirrors)]
    at = lines.index(" Security Options:")
    lines[at + 1 : at + 1] = [
        f"  {option.removeprefix('name=').partition(',')[0]}" for option in facts["SecurityOptions"]
    ]
    return "\n".join(lines) + "\n"


_LINES = (
    ("Containers", "Containers"),
    (" Running", "ContainersRunning"),
    (" Paused", "ContainersPaused"),
    (" Stopped", "ContainersStopped"),
    ("Images", "Images"),
    ("Server Version", "ServerVersion"),
    ("Storage Driver", "Driver"),
    ("Logging Driver", "LoggingDriver"),
    ("Cgroup Driver", "CgroupDriver"),
    ("Cgroup Version", "CgroupVersion"),
    ("Plugins", ""),
    (" Volume", "Volume"),
    (" Network", "Network"),
    (" Log", "Log"),
    ("Swarm", "Swarm"),
    ("Default Runtime", "DefaultRuntime"),
    ("Security Options", ""),
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
    ("Total Memory", "MemTotal"),
    ("Name", "Name"),
    ("Docker Root Dir", "DockerRootDir"),
    ("Configuration", "ConfigPath"),
    ("Privilege Mode", "Mode"),
)
"""Titles and the facts they show."""
