"""kobako run"""

from __future__ import annotations

from kobako.cli.container_flags import FLAGS, RARE
from kobako.cli.flags import BOOL, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.engine.create import Created

COMMAND = Command(
    "run",
    "run [OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create and run a new container from an image",
    (
        *FLAGS,
        Flag("detach", "d", BOOL, "Run container in background and print container ID"),
        Flag("detach-keys", "", TEXT, "Override the key sequence for detaching a container"),
        Flag("sig-proxy", "", BOOL, "Proxy received signals to the process", default=True),
    ),
    least=1,
    stops=True,
    completes="image",
    rare=RARE,
)
STARTS_CONTAINERS = True


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import container_flags, terminal
    from kobako.engine import run

    detach = values.on("detach")
    if detach and values.many("attach"):
        raise terminal.Conflicting("conflicting options: cannot specify both --attach and --detach")
    request = container_flags.request(context, values, words)
    attach = terminal.attachment(request.tty, request.stdin, values.many("attach"), detach)
    attach = terminal.detachable(context, attach, values, request.tty)
    cidfile = terminal.cidfile(values.text("cidfile"))
    ids: list[str] = []

    def created(container: Created) -> None:
        if cidfile is not None:
            cidfile(container.id)
        ids.append(container.id)

    code = run.run(
        context.engine,
        request,
        attach,
        terminal.pull_progress(values.on("quiet")),
        created,
        detach=detach,
        forward_signals=values.on("sig-proxy"),
    )
    if detach:
        context.out(ids[0])
    return terminal.exit_code(context, code)
