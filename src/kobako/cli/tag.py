"""kobako tag"""

from __future__ import annotations

from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "tag",
    "tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    (),
    2,
    2,
    completes="image",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import image_naming

    image_naming.tag(context.engine, words[0], words[1])
    return 0
