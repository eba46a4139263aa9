"""Services of compose files in their long form, interpolated, and laid over one another."""

from __future__ import annotations

import posixpath

from kobako.bake.compose import document
from kobako.bake.compose.document import Node
from kobako.bake.compose.interpolation import interpolate
from kobako.bake.source import BakeError, Fault, File, suggest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Lookup = Callable[[str], str | None]

_BUILD = (
    "context dockerfile dockerfile_inline args ssh cache_from cache_to additional_contexts "
    "no_cache no_cache_filter pull target shm_size network extra_hosts isolation privileged "
    "labels secrets tags platforms ulimits entitlements provenance sbom".split()
)
_PAIRS = ("args", "labels", "additional_contexts", "extra_hosts", "ssh", "environment")
_KEPT = ("image", "build", "environment", "env_file", "extends")
_DEEPEST = 20


class Model:
    """The services and secrets of several files, later ones laid over earlier ones."""

    def __init__(self, lookup: Lookup, read: Lookup) -> None:
        self.services: dict[str, Node] = {}
        self.secrets: dict[str, Node] = {}
        self.warnings: list[str] = []
        self._lookup = lookup
        self._read = read

    def add(self, file: File, depth: int = 0) -> None:
        """Lays a file over what there is; what it includes lies below it."""
        root = self._root(file)
        services = root.get("services")
        secrets = root.get("secrets")
        include = root.get("include")
        if services is None and secrets is None and include is None:
            raise BakeError(root.at, "empty compose file")
        if include is not None:
            self._include(include, depth)
        for name, node in _mapping(services).items():
            service = self._service(name, node, root, 0)
            before = self.services.get(name)
            self.services[name] = _over(before, service) if before else service
        self.secrets.update(_mapping(secrets))

    def _include(self, node: Node, depth: int) -> None:
        from kobako.bake.compose.includes import includes, secret_below, service_below

        if depth > _DEEPEST:
            raise node.fail("include goes round in a circle")
        for one in includes(node, self._lookup, self._read):
            inner = Model(one.lookup, self._read)
            for file in one.files:
                inner.add(file, depth + 1)
            self.warnings += inner.warnings
            for name, service in inner.services.items():  # what is there already lies over it
                below = service_below(service, one.directory)
                before = self.services.get(name)
                self.services[name] = _over(below, before) if before else below
            for name, secret in inner.secrets.items():
                self.secrets.setdefault(name, secret_below(secret, one.directory))

    def _root(self, file: File) -> Node:
        root = document.load(file)
        return Node(
            {
                key: self._interpolated(root.value[key])
                for key in ("services", "secrets", "include")
                if key in root.value
            },
            root.at,
        )

    def _interpolated(self, node: Node) -> Node:
        if isinstance(node.value, dict):
            return node.replace(value={k: self._interpolated(v) for k, v in node.value.items()})
        if isinstance(node.value, list):
            return node.replace(value=[self._interpolated(v) for v in node.value])
        if isinstance(node.value, str) and "$" in node.value:
            try:
                text = interpolate(node.value, self._lookup, lambda n: self._missing(n, node))
            except Fault as fault:
                raise node.fail(fault.message) from None
            return node.replace(value=text)
        return node

    def _missing(self, name: str, node: Node) -> None:
        where = f"{node.at.file.name}:{node.at.line}"
        warning = f'{where}: the variable "{name}" is not set: it stands for nothing'
        if warning not in self.warnings:
            self.warnings.append(warning)

    def _service(self, name: str, node: Node, root: Node, depth: int) -> Node:
        """A service's parts that matter for building, in long form, with what it extends."""
        found = {key: value for key, value in _mapping(node).items() if key in _KEPT}
        if "build" in found:
            found["build"] = _build(found["build"], name)
        if "environment" in found:
            found["environment"] = _pairs(found["environment"])
        extends = found.pop("extends", None)
        service = node.replace(value=found)
        if extends is None:
            return service
        if depth > _DEEPEST:
            raise extends.fail(f"services.{name}.extends goes round in a circle")
        return _over(self._extended(name, extends, root, depth), service)

    def _extended(self, name: str, extends: Node, root: Node, depth: int) -> Node:
        other = extends.text() if isinstance(extends.value, str) else ""
        path = ""
        if isinstance(extends.value, dict):
            service, file = extends.get("service"), extends.get("file")
            other, path = service.text() if service else "", file.text() if file else ""
        if path:
            base = posixpath.dirname(extends.at.file.name)
            path = posixpath.join(base, path)
            text = self._read(path)
            if text is None:
                raise extends.fail(f"services.{name}.extends: there is no file {path}")
            root = self._root(File(path, text))
        services = root.get("services")
        found = services.get(other) if services else None
        if found is None:
            raise extends.fail(f'services.{name}.extends: there is no service "{other}"')
        return self._service(other, found, root, depth + 1)


def _mapping(node: Node | None) -> dict[str, Node]:
    if node is None or node.value is None:
        return {}
    if not isinstance(node.value, dict):
        raise node.fail("a mapping is required here")
    found: dict[str, Node] = node.value
    return found


def _build(node: Node, service: str) -> Node:
    if isinstance(node.value, str):
        return node.replace(value={"context": node})
    found = dict(_mapping(node))
    for key, value in found.items():
        if key not in _BUILD and not key.startswith("x-"):
            raise value.fail(f"services.{service}.build: unknown key {key}.{suggest(key, _BUILD)}")
        if key in _PAIRS:
            found[key] = _pairs(value)
    return node.replace(value=found)


def _pairs(node: Node) -> Node:
    """`- KEY=value` lines as a mapping; a key alone has the value null."""
    if not isinstance(node.value, list):
        return node
    found: dict[str, Node] = {}
    for item in node.value:
        word = item.text()
        key, equals, value = word.partition("=")
        if not equals and ":" in word and "://" not in word:
            key, equals, value = word.partition(":")
        found[key] = item.replace(value=value if equals else None)
    return node.replace(value=found)


def _over(first: Node, second: Node) -> Node:
    """Mappings are merged, lists joined, anything else is the later one's."""
    if isinstance(first.value, dict) and isinstance(second.value, dict):
        joined = dict(first.value)
        for key, value in second.value.items():
            joined[key] = _over(joined[key], value) if key in joined else value
        return second.replace(value=joined)
    if isinstance(first.value, list) and isinstance(second.value, list):
        held = [item.value for item in first.value]
        return second.replace(value=first.value + [i for i in second.value if i.value not in held])
    return second
