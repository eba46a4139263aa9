"""kobako version"""

from __future__ import annotations

from kobako.cli.flags import TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "version",
    "version [OPTIONS]",
    "Show the kobako version information",
    (Flag("format", "f", TEXT, "Format output using a Go template or 'json'"),),
    most=0,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    import os
    import sys

    from kobako import __version__

    system = os.uname()
    facts = {
        "Version": __version__,
        "PythonVersion": sys.version.split()[0],
        "Os": system.sysname.lower(),
        "Arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(system.machine, system.machine),
        "KernelVersion": system.release,
        **dict.fromkeys(("APIVersion", "GitCommit", "GoVersion", "BuildTime"), ""),
        "Experimental": False,
    }
    form = values.text("format")
    if form:
        from kobako.cli import template

        # There is no daemon: Client and Server are one, so scripts that ask for either work.
        document = {"Client": facts, "Server": facts}
        if form == "json":
            context.out(template.to_json(document))
        else:
            context.out(template.render(template.unescape(form), document))
        return 0
    context.out("Client: kobako (no server needed)")
    for title, name in (
        ("Version", "Version"),
        ("Python version", "PythonVersion"),
        ("Kernel version", "KernelVersion"),
    ):
        context.out(f" {title + ':':<18}{facts[name]}")
    context.out(f" {'OS/Arch:':<18}{facts['Os']}/{facts['Arch']}")
    return 0
