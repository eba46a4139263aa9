"""kobako push"""

from __future__ import annotations

from kobako.cli.flags import BOOL, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "push",
    "push [OPTIONS] NAME[:TAG]",
    "Upload an image to a registry",
    (
        Flag("all-tags", "a", BOOL, "Push all tags of an image to the repository"),
        Flag("disable-content-trust", "", BOOL, "Skip image signing", hidden=True),
        Flag("quiet", "q", BOOL, "Suppress verbose output"),
    ),
    least=1,
    most=1,
    completes="image",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import transfer_progress
    from kobako.engine import transfers

    quiet = values.on("quiet")
    names = transfers.local_tags(context.engine, words[0], everything=values.on("all-tags"))
    if not quiet:
        if names[0].told_default:
            context.out("Using default tag: latest")
        context.out(f"The push refers to repository [{names[0].repository}]")
    for name in names:
        with transfer_progress.Progress(quiet=quiet) as progress:
            pushed = transfers.push(context.engine, name.reference, progress)
        if quiet:
            context.out(str(name.reference))
        else:
            context.out(f"{name.tag}: digest: {pushed.digest} size: {pushed.size}")
    return 0
