"""kobako kill"""

from __future__ import annotations

from kobako.cli.flags import TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "kill",
    "kill [OPTIONS] CONTAINER [CONTAINER...]",
    "Kill one or more running containers",
    (Flag("signal", "s", TEXT, "Signal to send to the container", default="KILL"),),
    least=1,
    completes="container",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import container_control

    signal, engine = values.text("signal"), context.engine
    return context.each(words, lambda name: container_control.kill(engine, name, signal))
