"""kobako restart"""

from __future__ import annotations

from kobako.cli import stop
from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "restart",
    "restart [OPTIONS] CONTAINER [CONTAINER...]",
    "Restart one or more containers",
    stop.COMMAND.flags,
    least=1,
    completes="container",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import start

    timeout = next((values.number(n) for n in ("time", "timeout") if values.given(n)), None)
    engine = context.engine

    def restart(name: str) -> None:
        start.restart(engine, name, timeout=timeout, signal=values.text("signal"))

    return context.each(words, restart)
