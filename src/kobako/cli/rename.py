"""kobako rename"""

from __future__ import annotations

from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "rename", "rename CONTAINER NEW_NAME", "Rename a container", (), 2, 2, completes="container"
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli.context import error_text
    from kobako.engine import container_control
    from kobako.errors import KobakoError

    try:
        container_control.rename(context.engine, words[0], words[1])
    except KobakoError as fault:
        context.err(error_text(fault))
        context.err(f"Error: failed to rename container named {words[0]}")
        return fault.exit_code
    return 0
