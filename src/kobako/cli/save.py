"""kobako save"""

from __future__ import annotations

from kobako.cli.flags import TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "save",
    "save [OPTIONS] IMAGE [IMAGE...]",
    "Save one or more images to a tar archive (streamed to STDOUT by default)",
    (
        Flag("format", "", TEXT, "Archive format", "string", "docker", "docker oci"),
        Flag("output", "o", TEXT, "Write to a file, instead of STDOUT"),
    ),
    least=1,
    completes="image",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import streams
    from kobako.engine import archives

    with streams.output(values.text("output")) as sink:
        archives.save(context.engine, words, sink, values.text("format"))
    return 0
