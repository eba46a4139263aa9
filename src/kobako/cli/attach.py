"""kobako attach"""

from __future__ import annotations

from kobako.cli.flags import BOOL, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "attach",
    "attach [OPTIONS] CONTAINER",
    "Attach local standard input, output, and error streams to a running container",
    (
        Flag("detach-keys", "", TEXT, "Override the key sequence for detaching a container"),
        Flag("no-stdin", "", BOOL, "Do not attach STDIN"),
        Flag("sig-proxy", "", BOOL, "Proxy all received signals to the process", default=True),
    ),
    least=1,
    most=1,
    completes="container",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import detach_keys, terminal
    from kobako.engine import attach, containers, recording

    container = containers.find(context.engine, words[0])
    attach.check(container)
    stdin = not values.on("no-stdin")
    io = terminal.attachment(container.tty, stdin, [], False)
    io = terminal.detachable(context, io, values, container.tty)
    recording.container(context.engine, container, "attach")
    code = attach.attach(container, io, forward_signals=values.on("sig-proxy"))
    if code is None:  # unlike `run`, `start` and `exec`, as docker has it
        context.err(detach_keys.LEFT)
        return 1
    return code
