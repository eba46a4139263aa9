"""kobako exec"""

from __future__ import annotations

from kobako.cli.flags import BOOL, LIST, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "exec",
    "exec [OPTIONS] CONTAINER COMMAND [ARG...]",
    "Execute a command in a running container",
    (
        Flag("detach", "d", BOOL, "Detached mode: run command in the background"),
        Flag("detach-keys", "", TEXT, "Override the key sequence for detaching a container"),
        Flag("env", "e", LIST, "Set environment variables"),
        Flag("env-file", "", LIST, "Read in a file of environment variables"),
        Flag("interactive", "i", BOOL, "Keep STDIN open even if not attached"),
        Flag("privileged", "", BOOL, "Give extended privileges to the command"),
        Flag("tty", "t", BOOL, "Allocate a pseudo-TTY"),
        Flag("user", "u", TEXT, "Username or UID (format: <name|uid>[:<group|gid>])"),
        Flag("workdir", "w", TEXT, "Working directory inside the container"),
    ),
    least=2,
    stops=True,
    completes="container",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import terminal
    from kobako.cli.environment import environment
    from kobako.engine import execute

    detach = values.on("detach")
    attach = terminal.attachment(values.on("tty"), values.on("interactive"), [], detach)
    attach = terminal.detachable(context, attach, values, values.on("tty"))
    request = execute.ExecRequest(
        container=words[0],
        args=tuple(words[1:]),
        env=tuple(environment(context, values)),
        user=values.text("user"),
        workdir=values.text("workdir"),
        tty=values.on("tty"),
        privileged=values.on("privileged"),
        detach=detach,
    )
    return terminal.exit_code(context, execute.execute(context.engine, request, attach))
