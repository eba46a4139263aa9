"""The door of the room: bake files to what they define."""

from __future__ import annotations

from kobako.bake.definitions import Definitions
from kobako.bake.hcl import bodies, json_syntax
from kobako.bake.hcl.syntax import Body
from kobako.bake.scope import World
from kobako.bake.source import BakeError, File
from kobako.bake.targets import Config
from kobako.errors import Invalid
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.variables import Listed, Lookup

DEFAULT_FILES = (
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "docker-bake.json",
    "docker-bake.hcl",
    "docker-bake.override.json",
    "docker-bake.override.hcl",
)
"""What is read, in this order, where no file is named."""


class Surroundings(Record):
    """What the files may ask of the world. `lookup` answers for `--var` and the environment;
    `builtin` are BAKE_CMD_CONTEXT, ...; `read` gives a file's text by its path (`.env`, and
    compose's `env_file` and `extends`)."""

    lookup: Lookup
    builtin: tuple[tuple[str, str], ...]
    world: World
    read: Lookup


class Defined(Record):
    config: Config
    variables: tuple[Listed, ...]


def read(files: list[File], around: Surroundings) -> Defined:
    """What the files define together. `BakeError` shows where a file is wrong."""
    composed: list[File] = []
    trees: list[Body] = []
    for file in files:
        tree = _tree(file)
        if tree is None:
            composed.append(file)
        else:
            trees.append(tree)
    base = Config()
    if composed:
        from kobako.bake.compose import model

        base = model.config(composed, around)
    definitions = Definitions(trees, around.lookup, dict(around.builtin), around.world)
    config = definitions.config(base)
    return Defined(config, tuple(definitions.listed()))


def _tree(file: File) -> Body | None:
    """The syntax tree of a file; None for a compose file."""
    name = file.name.lower()
    if name.endswith((".yml", ".yaml")):
        return None
    if name.endswith(".json"):
        return json_syntax.parse(file)
    if name.endswith(".hcl"):
        return bodies.parse(file)
    return _guess(file)


def _guess(file: File) -> Body | None:
    """A file whose name says nothing, such as standard input."""
    if file.text.lstrip().startswith("{"):
        return json_syntax.parse(file)
    try:
        return bodies.parse(file)
    except BakeError as fault:
        from kobako.bake.compose import document

        try:
            document.load(file)
        except Invalid:
            raise fault from None
        return None
