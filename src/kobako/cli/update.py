"""kobako update"""

from __future__ import annotations

from kobako.cli import limit_flags
from kobako.cli.flags import TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "update",
    "update [OPTIONS] CONTAINER [CONTAINER...]",
    "Update configuration of one or more containers",
    (
        *limit_flags.CHANGING,
        Flag("restart", "", TEXT, "Restart policy to apply when a container exits"),
    ),
    least=1,
    completes="container",
    details="""\
Limits hold at once and at later starts. A restart policy given to a container that runs without
one holds from its next start on.""",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.engine import restarting, updating

    limits = limit_flags.given(values)
    policy = restarting.policy(values.text("restart")) if values.given("restart") else None
    if not limits and policy is None:
        context.err("You must provide one or more flags when using this command.")
        return 1

    def update(name: str) -> None:
        limit_flags.warn(context, updating.update(context.engine, name, limits, policy))

    return context.each(words, update)
