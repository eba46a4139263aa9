"""kobako pause"""

from __future__ import annotations

from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "pause",
    "pause CONTAINER [CONTAINER...]",
    "Pause all processes within one or more containers",
    least=1,
    completes="container",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import container_control

    engine = context.engine
    return context.each(words, lambda name: container_control.pause(engine, name))
