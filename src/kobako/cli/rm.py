"""kobako rm"""

from __future__ import annotations

from kobako.cli.flags import BOOL, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "rm",
    "rm [OPTIONS] CONTAINER [CONTAINER...]",
    "Remove one or more containers",
    (
        Flag("force", "f", BOOL, "Force the removal of a running container (uses SIGKILL)"),
        Flag("link", "l", BOOL, "Remove the specified link: there are none", hidden=True),
        Flag("volumes", "v", BOOL, "Remove anonymous volumes associated with the container"),
    ),
    least=1,
    completes="container",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import container_removal
    from kobako.errors import NotFound, Unsupported

    engine, force = context.engine, values.on("force")
    if values.on("link"):
        raise Unsupported("--link is not supported: there are no links between containers")

    def remove(name: str) -> bool | None:
        try:
            container_removal.remove(engine, name, force=force, volumes=values.on("volumes"))
        except NotFound as fault:
            if not force:
                raise
            context.err(f"Error: {fault}")  # docker says so, yet succeeds with --force
            return False
        return None

    if force and len(words) > 1:
        container_removal.end_all(engine, words)
    return context.each(words, remove)
