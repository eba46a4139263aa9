"""`include` of compose files: other files, with a directory and variables of their own."""

from __future__ import annotations

import posixpath

from kobako.bake.compose.interpolation import dotenv
from kobako.bake.source import Fault, File, suggest
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.bake.compose.document import Node

    Lookup = Callable[[str], str | None]

_KEYS = ["path", "project_directory", "env_file"]


class Include(Record):
    """`files` are laid over one another; paths in them start from `directory`. `lookup` answers for
    their variables: whoever includes them comes first, then the environment files they are given,
    else the `.env` of the directory."""

    files: tuple[File, ...]
    directory: str
    lookup: Lookup


def includes(node: Node | None, lookup: Lookup, read: Lookup) -> list[Include]:
    """What an `include` names, read. `lookup` and `read` are those of the file it stands in."""
    if node is None or node.value is None:
        return []
    if not isinstance(node.value, list):
        raise node.fail("include is a list")
    return [_include(entry, lookup, read) for entry in node.value]


def _include(entry: Node, lookup: Lookup, read: Lookup) -> Include:
    if isinstance(entry.value, dict):
        for key in entry.value:
            if key not in _KEYS:
                raise entry.fail(f"include: unknown key {key}.{suggest(key, _KEYS)}")
    paths = _words(entry.get("path") if isinstance(entry.value, dict) else entry)
    if not paths:
        raise entry.fail("include: a path is required")
    base = posixpath.dirname(entry.at.file.name)
    paths = [posixpath.join(base, path) for path in paths]
    found = entry.get("project_directory")
    given = found.text() if found is not None else ""
    directory = posixpath.join(base, given) if given else posixpath.dirname(paths[0])
    files = []
    for path in paths:
        text = read(path)
        if text is None:
            raise entry.fail(f"include: there is no file {path}")
        files.append(File(path, text))
    return Include(tuple(files), directory, _variables(entry, base, directory, lookup, read))


def _variables(entry: Node, base: str, directory: str, lookup: Lookup, read: Lookup) -> Lookup:
    names = [posixpath.join(base, name) for name in _words(entry.get("env_file"))]
    extra: dict[str, str] = {}
    for name in names or [posixpath.join(directory, ".env")]:
        text = read(name)
        if text is None and names:
            raise entry.fail(f"include: there is no file {name}")
        try:
            extra.update(dotenv(text, lookup) if text else {})
        except Fault as fault:
            raise entry.fail(f"{name}: {fault.message}") from None

    def known(name: str) -> str | None:
        found = lookup(name)
        return extra.get(name) if found is None else found

    return known


def _words(node: Node | None) -> list[str]:
    if node is None or node.value is None:
        return []
    return [each.text() for each in node.value] if isinstance(node.value, list) else [node.text()]


def service_below(service: Node, directory: str) -> Node:
    """A service whose paths start from `directory`, with paths from where it is included."""
    parts = dict(service.value)
    build = parts.get("build")
    if build is not None and isinstance(build.value, dict):
        found = dict(build.value)
        context = found.get("context")
        found["context"] = (
            _below(context, directory) if context is not None else build.replace(value=directory)
        )
        named = found.get("additional_contexts")
        if named is not None and isinstance(named.value, dict):
            below = {key: _below(value, directory) for key, value in named.value.items()}
            found["additional_contexts"] = named.replace(value=below)
        parts["build"] = build.replace(value=found)
    if "env_file" in parts:
        parts["env_file"] = _each_below(parts["env_file"], directory, "path")
    return service.replace(value=parts)


def secret_below(secret: Node, directory: str) -> Node:
    """The same of a secret's file."""
    return _each_below(secret, directory, "file")


def _each_below(node: Node, directory: str, key: str) -> Node:
    """The paths of a text, of a list of them, of mappings that have them under `key`."""
    if isinstance(node.value, list):
        return node.replace(value=[_each_below(each, directory, key) for each in node.value])
    if isinstance(node.value, dict):
        inner = node.value.get(key)
        if inner is None:
            return node
        return node.replace(value={**node.value, key: _below(inner, directory)})
    return _below(node, directory)


def _below(node: Node, directory: str) -> Node:
    path = node.text()
    if not path or ":" in path or path.startswith("git@"):
        return node  # a place of its own
    return node.replace(value=posixpath.join(directory, path))
