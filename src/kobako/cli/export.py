"""kobako export"""

from __future__ import annotations

from kobako.cli.flags import TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "export",
    "export [OPTIONS] CONTAINER",
    "Export a container's filesystem as a tar archive",
    (Flag("output", "o", TEXT, "Write to a file, instead of STDOUT"),),
    least=1,
    most=1,
    completes="container",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import streams
    from kobako.engine import filesystem

    with streams.output(values.text("output")) as sink:
        filesystem.export(context.engine, words[0], sink)
    return 0
