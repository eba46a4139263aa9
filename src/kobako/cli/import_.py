"""kobako import"""

from __future__ import annotations

from kobako.cli.flags import LIST, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "import",
    "import [OPTIONS] file|- [REPOSITORY[:TAG]]",
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
    from kobako.cli import streams
    from kobako.engine import archives

    path = "" if words[0] == "-" else words[0]
    with streams.source(path, "import") as stream:
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
