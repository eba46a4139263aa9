"""kobako commit (capture)"""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "commit",
    "commit [OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    "Create a new image from a container's changes",
    (
        Flag("author", "a", TEXT, 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")'),
        Flag("change", "c", LIST, "Apply Dockerfile instruction to the created image"),
        Flag("compression", "", TEXT, "Compression of the layer", "string", "gzip", "gzip zstd"),
        Flag("message", "m", TEXT, "Commit message"),
        Flag("pause", "p", BOOL, "Pause container during commit", default=True),
    ),
    least=1,
    most=2,
    completes="container",
    aliases="capture",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import commit

    image_id = commit.commit(
        context.engine,
        words[0],
        words[1] if len(words) > 1 else "",
        author=values.text("author"),
        message=values.text("message"),
        changes=values.many("change"),
        pause=values.on("pause"),
        compression=values.text("compression"),
    )
    context.out(image_id)
    return 0
