"""kobako create"""

from __future__ import annotations

import os

from kobako.cli.container_flags import FLAGS, RARE
from kobako.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "create",
    "create [OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a new container",
    FLAGS,
    least=1,
    stops=True,
    completes="image",
    rare=RARE,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import container_flags, terminal
    from kobako.engine import create

    request = container_flags.request(context, values, words)
    cidfile = terminal.cidfile(values.text("cidfile"))
    progress = terminal.pull_progress(values.on("quiet"))
    container = create.create(context.engine, request, progress)
    os.close(container.held)
    if cidfile is not None:
        cidfile(container.id)
    context.out(container.id)
    return 0
