"""kobako load"""

from __future__ import annotations

from kobako.cli.flags import BOOL, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "load",
    "load [OPTIONS]",
    "Load an image from a tar archive or STDIN",
    (
        Flag("input", "i", TEXT, "Read from tar archive file, instead of STDIN"),
        Flag("quiet", "q", BOOL, "Suppress the load output"),
    ),
    most=0,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import streams
    from kobako.engine import archives

    with streams.source(values.text("input"), "load") as stream:
        for loaded in archives.load(context.engine, stream):
            if loaded.references:
                for name in loaded.references:
                    context.out(f"Loaded image: {name}")
            else:
                context.out(f"Loaded image ID: {loaded.image_id}")
    return 0
