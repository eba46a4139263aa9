"""kobako start"""

from __future__ import annotations

from kobako.cli.flags import BOOL, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "start",
    "start [OPTIONS] CONTAINER [CONTAINER...]",
    "Start one or more stopped containers",
    (
        Flag("attach", "a", BOOL, "Attach STDOUT/STDERR and forward signals"),
        Flag("detach-keys", "", TEXT, "Override the key sequence for detaching a container"),
        Flag("interactive", "i", BOOL, "Attach container's STDIN"),
    ),
    least=1,
    completes="container",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import containers, start
    from kobako.errors import Invalid

    engine = context.engine
    if not (values.on("attach") or values.on("interactive")):
        failed: list[str] = []

        def begin(name: str) -> None:
            failed.append(name)
            start.start(engine, name)
            failed.pop()

        ended = context.each(words, begin)
        if failed:
            context.err(f"Error: failed to start containers: {', '.join(failed)}")
        return ended
    if len(words) > 1:
        raise Invalid("you cannot start and attach multiple containers at once")
    from kobako.cli import terminal

    container = containers.find(engine, words[0])
    attach = terminal.attachment(container.tty, values.on("interactive"), [], False)
    attach = terminal.detachable(context, attach, values, container.tty)
    code = start.attach_and_wait(engine, container.id, attach, forward_signals=True)
    return terminal.exit_code(context, code)
