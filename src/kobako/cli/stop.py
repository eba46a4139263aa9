"""kobako stop"""

from __future__ import annotations

from kobako.cli.flags import NUMBER, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "stop",
    "stop [OPTIONS] CONTAINER [CONTAINER...]",
    "Stop one or more running containers",
    (
        Flag("signal", "s", TEXT, "Signal to send to the container"),
        Flag("time", "t", NUMBER, "Seconds to wait before killing the container"),
        Flag("timeout", "", NUMBER, "Seconds to wait before killing the container", hidden=True),
    ),
    least=1,
    completes="container",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import container_control

    timeout = next((values.number(n) for n in ("time", "timeout") if values.given(n)), None)
    signal = values.text("signal")
    engine = context.engine
    return context.each(
        words, lambda name: container_control.stop(engine, name, timeout=timeout, signal=signal)
    )
