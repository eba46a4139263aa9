"""kobako pull"""

from __future__ import annotations

from kobako.cli.flags import BOOL, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "pull",
    "pull [OPTIONS] NAME[:TAG|@DIGEST]",
    "Download an image from a registry",
    (
        Flag("all-tags", "a", BOOL, "Download all tagged images in the repository"),
        Flag("disable-content-trust", "", BOOL, "Skip image verification", hidden=True),
        Flag("platform", "", TEXT, "Set platform if server is multi-platform capable"),
        Flag("quiet", "q", BOOL, "Suppress verbose output"),
    ),
    least=1,
    most=1,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import transfer_progress
    from kobako.engine import transfers

    quiet = values.on("quiet")
    pull = transfers.pull_all if values.on("all-tags") else transfers.pull
    with transfer_progress.Progress(quiet=quiet) as progress:
        pulled = pull(context.engine, words[0], values.text("platform"), progress)
    context.out(pulled)
    return 0
