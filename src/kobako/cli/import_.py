"""kobako import"""

from __future__ import annotations

from kobako.cli.flags import LIST, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "import",
    "import [OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    "Import the contents from a tarball to create a filesystem image",
    (
        Flag("change", "c", LIST, "Apply Dockerfile instruction to the created image"),
        Flag("message", "m", TEXT, "Set commit message for imported image"),
        Flag("platform", "", TEXT, "Set platform of the image"),
    ),
    least=1,
    most=2,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import archives

    with _source(context, words[0]) as stream:
        image_id = archives.import_tree(
            context.engine,
            stream,
            words[1] if len(words) > 1 else "",
            changes=values.many("change"),
            message=values.text("message") or f"Imported from {words[0]}",
            platform=values.text("platform"),
        )
    context.out(image_id)
    return 0


def _source(context: Context, word: str) -> BinaryIO:
    """Standard input, what a web server has, or a file."""
    if word.startswith(("http://", "https://")):
        from kobako.cli import transfer_progress
        from kobako.engine import web_file

        context.out(f"Downloading from {word}")
        progress = transfer_progress.Progress()
        return web_file.open_body(context.engine, word, "Importing", progress)
    from kobako.cli import streams

    return streams.source("" if word == "-" else word, "import")
