"""kobako network create, connect, disconnect and rm: there is nothing they could do."""

from __future__ import annotations

from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "create",
    "network create|connect|disconnect|rm [ARG...]",
    "Refused: the networks there are cannot be changed",
    stops=True,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import networks

    networks.refuse(words[0] if words else "")
