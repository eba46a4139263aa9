"""kobako port"""

from __future__ import annotations

from kobako.cli.flags import Command
from kobako.errors import Invalid, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "port",
    "port CONTAINER [PRIVATE_PORT[/PROTO]]",
    "List port mappings or a specific mapping for the container",
    least=1,
    most=2,
    completes="container",
)


def main(context: Context, values: Values, words: list[str]) -> int:
    """Nothing is published: a container has the machine's ports, or no network."""
    from kobako.engine import containers

    containers.find(context.engine, words[0])
    if len(words) == 1:
        return 0
    port, slash, protocol = words[1].partition("/")
    if not (port.isascii() and port.isdigit()):
        raise Invalid(f'strconv.ParseUint: parsing "{port}": invalid syntax')
    if int(port) > 65535:
        raise Invalid(f'strconv.ParseUint: parsing "{port}": value out of range')
    which = f"{port}/{protocol if slash else 'tcp'}"
    raise NotFound(f"No public port '{which}' published for {words[0]}")
