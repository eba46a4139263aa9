"""kobako volume create"""

from __future__ import annotations

from kobako.cli.flags import LIST, TEXT, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.cli.context import Context
    from kobako.cli.flags import Values

COMMAND = Command(
    "create",
    "volume create [OPTIONS] [VOLUME]",
    "Create a volume",
    (
        Flag("driver", "d", TEXT, "Specify volume driver name", default="local"),
        Flag("label", "", LIST, "Set metadata for a volume"),
        Flag("name", "", TEXT, "Specify volume name", hidden=True),
        Flag("opt", "o", LIST, "Set driver specific options", "map", hidden=True),
    ),
    most=1,
)


def main(context: Context, values: Values, words: list[str]) -> int:
    from kobako.cli import container_flags
    from kobako.engine import volume_store
    from kobako.errors import Unsupported

    if values.text("driver") != "local":
        raise Unsupported(
            f"the volume driver {values.text('driver')!r} is not supported: use local"
        )
    if values.many("opt"):
        raise Unsupported("--opt is not supported: a volume is a directory with a name")
    labels = container_flags.labels("--label", values.many("label"), [])
    name = words[0] if words else values.text("name")
    context.out(volume_store.create(context.engine, name, labels))
    return 0
