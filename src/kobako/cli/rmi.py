"""kobako rmi"""

from __future__ import annotations

from kobako.cli.flags import BOOL, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "rmi",
    "rmi [OPTIONS] IMAGE [IMAGE...]",
    "Remove one or more images",
    (
        Flag("force", "f", BOOL, "Force removal of the image"),
        Flag("no-prune", "", BOOL, "Do not delete untagged parents"),
    ),
    least=1,
    completes="image",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import image_removal
    from kobako.errors import NotFound

    engine, force = context.engine, values.on("force")

    def remove(name: str) -> None:
        try:
            for line in image_removal.remove(engine, name, force=force):
                context.out(line)
        except NotFound as fault:
            if not force:
                raise
            context.err(f"Error: {fault}")  # docker says so, yet succeeds with --force

    return context.each(words, remove, echo=False)
