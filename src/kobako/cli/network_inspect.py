"""kobako network inspect"""

from __future__ import annotations

from kobako.cli.flags import TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "inspect",
    "network inspect [OPTIONS] NETWORK [NETWORK...]",
    "Display detailed information on one or more networks",
    (Flag("format", "f", TEXT, "Format output using a Go template or 'json'"),),
    least=1,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli.inspect import print_documents
    from kobako.engine import networks

    return print_documents(
        context, values, words, lambda name: networks.document(context.engine, networks.find(name))
    )
