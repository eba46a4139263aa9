"""kobako image from-host"""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "from-host",
    "image from-host [OPTIONS] PROGRAM [PROGRAM...]",
    "Make a base image of programs of this machine, without a network",
    (
        Flag("cmd", "", TEXT, "Default command of the image"),
        Flag("env", "e", LIST, "Set environment variables of the image"),
        Flag("name", "", TEXT, "Name of the image"),
        Flag("quiet", "q", BOOL, "Do not name what was left out"),
        Flag("with-ca", "", BOOL, "Include this machine's CA certificates"),
    ),
    least=1,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import host_image

    made = host_image.from_host(
        context.engine,
        words,
        name=values.text("name"),
        command=values.text("cmd").split(),
        env=values.many("env"),
        with_ca=values.on("with-ca"),
    )
    if not values.on("quiet"):
        for note in made.notes:
            context.err(f"note: {note}")
    context.out(made.image_id)
    return 0
