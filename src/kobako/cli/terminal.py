"""How a verb that starts processes joins them to this terminal or these pipes."""

from __future__ import annotations

import os
import sys

from kobako.cli.flags import bad_value
from kobako.errors import Conflict, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.cli.context import Context
    from kobako.cli.flags import Values
    from kobako.events import Event, OnEvent
    from kobako.runtime.bundle import Stdio


class NotATerminal(Invalid):
    """-t and -i without a terminal: as docker has it, no failure of a start."""

    of_a_start = False


class Conflicting(Invalid):
    """Flags that exclude each other: as docker has it, no failure of a start."""

    of_a_start = False


def attachment(tty: bool, interactive: bool, attach: list[str], detach: bool) -> Stdio:
    """The streams to join, checked as docker checks them.

    `attach` are the words of --attach; without any, stdout and stderr are joined, and stdin with
    `interactive`.
    """
    from kobako.runtime.bundle import Stdio

    if detach:
        return Stdio(hold_stdin=interactive)
    names = {name.lower() for name in attach}
    unknown = names - {"stdin", "stdout", "stderr"}
    if unknown:
        said = "valid streams are STDIN, STDOUT and STDERR"
        raise bad_value("-a, --attach", unknown.pop(), said)
    if tty and interactive and not os.isatty(0):
        raise NotATerminal(
            "the input device is not a TTY", hint="Leave -t out when input comes from a pipe."
        )
    wanted = names or {"stdout", "stderr"}
    return Stdio(
        stdin=0 if interactive else -1,
        stdout=1 if "stdout" in wanted else -1,
        stderr=2 if "stderr" in wanted else -1,
    )


def detachable(context: Context, io: Stdio, values: Values, tty: bool) -> Stdio:
    """The same streams, with the keys to leave them by when they are those of a terminal."""
    given = values.text("detach-keys")
    if not given and not (tty and io.stdin >= 0):
        return io
    from kobako.cli import detach_keys

    return io.replace(detach_keys=detach_keys.find(context, given))


def exit_code(context: Context, code: int | None) -> int:
    """A program's own, or 0 when it was left running."""
    if code is None:
        from kobako.cli import detach_keys

        context.err(detach_keys.LEFT)
        return 0
    return code


def cidfile(path: str) -> Callable[[str], None] | None:
    """What writes a container's id to the file of --cidfile, which must not exist yet."""
    if not path:
        return None
    if os.path.exists(path):
        raise Conflict(
            f"container ID file found, make sure the other container isn't running or delete {path}"
        )

    def write(container_id: str) -> None:
        with open(path, "x") as file:
            file.write(container_id)

    return write


def pull_progress(quiet: bool) -> OnEvent:
    """What `run` shows of a pull it has to make: docker's lines, on standard error."""
    shown: list[Callable[[Event], None]] = []

    def on_event(event: Event) -> None:
        if quiet:
            return
        if not shown:
            from kobako.cli.transfer_progress import Progress

            shown.append(Progress(stderr=True))
        sys.stdout.flush()
        shown[0](event)

    return on_event
