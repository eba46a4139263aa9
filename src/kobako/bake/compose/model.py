"""Compose services as targets."""

from __future__ import annotations

import posixpath
import re

from kobako.bake import entries
from kobako.bake.compose.interpolation import dotenv
from kobako.bake.compose.services import Model
from kobako.bake.entries import Entry, Secret, Ssh
from kobako.bake.source import BakeError, Fault, File
from kobako.bake.targets import Config, Group, Target
from kobako.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.bake.compose.document import Node
    from kobako.bake.read import Surroundings

    Lookup = Callable[[str], str | None]

_UNUSED = ("isolation", "privileged", "entitlements", "no_cache_filter")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_X_BAKE = (
    "tags cache-from cache-to secret ssh platforms output pull no-cache no-cache-filter "
    "contexts".split()
)


def config(files: list[File], around: Surroundings) -> Config:
    """A target for each service with a `build`, and all of them as the group `default`."""
    beside = around.read(".env")
    try:
        extra = dotenv(beside, around.lookup) if beside else {}
    except Fault as fault:
        raise Invalid(f".env: {fault.message}") from None

    def lookup(name: str) -> str | None:
        found = around.lookup(name)
        return extra.get(name) if found is None else found

    within = around.replace(lookup=lookup)
    model = Model(lookup, around.read)
    for file in files:
        model.add(file)
    made = []
    for name, node in model.services.items():
        build = _build(name, node)
        if build is None:
            continue
        try:
            made.append(_Service(name, node, build, model, within).target())
        except Fault as fault:
            raise BakeError(build.at, f"services.{name}.build: {fault.message}") from None
    names = tuple(target.name for target in made)
    groups = (Group("default", names, said=bool(names)),) if model.services else ()
    return Config(groups, tuple(made), tuple(model.warnings))


def _build(name: str, node: Node) -> Node | None:
    """What a service is built from; None for an image that is there."""
    build, image = node.get("build"), node.get("image")
    if build is not None and build.value is not None:
        return build
    if image is None or not image.value:
        raise node.fail(f'service "{name}" has neither an image nor a build context specified')
    return None


class _Service:
    def __init__(
        self, name: str, node: Node, build: Node, model: Model, around: Surroundings
    ) -> None:
        self.name = name
        self.node = node
        self.build = build
        self.model = model
        self.around = around

    def target(self) -> Target:
        name = self.name.replace(".", "_")
        if not re.fullmatch(r"[a-zA-Z0-9_-]+", name):
            raise BakeError(self.node.at, f'invalid service name "{name}"')
        for key in _UNUSED:
            if self.build.get(key) is not None:
                where = f"{self.build.at.file.name}:{self.build.at.line}"
                self.model.warnings.append(
                    f"{where}: services.{self.name}.build.{key} is not used by bake"
                )
        tags = self._words("tags")
        image = self.node.get("image")
        context = self._text("context")
        found = Target(
            name,
            context=_path(context) if context else None,
            contexts=self._contexts("additional_contexts"),
            dockerfile=self._text("dockerfile") or None,
            dockerfile_inline=self._text("dockerfile_inline") or None,
            args=self._args(),
            labels=self._texts("labels"),
            tags=tags or ((image.text(),) if image and image.value else ()) or None,
            cache_from=entries.caches(self._words("cache_from")) or None,
            cache_to=entries.caches(self._words("cache_to")) or None,
            target=self._text("target") or None,
            secret=self._secrets() or None,
            ssh=self._ssh() or None,
            platforms=self._words("platforms") or None,
            pull=self._switch("pull"),
            no_cache=self._switch("no_cache"),
            network=self._text("network") or None,
            shm_size=self._shm_size(),
            ulimits=self._ulimits() or None,
            extra_hosts=self._extra_hosts(),
            attest=self._attest() or None,
        )
        extension = self.build.get("x-bake")
        return (
            found if extension is None or extension.value is None else _extended(found, extension)
        )

    def _text(self, key: str) -> str:
        node = self.build.get(key)
        return node.text() if node else ""

    def _words(self, key: str) -> tuple[str, ...]:
        node = self.build.get(key)
        if node is None or node.value is None:
            return ()
        if not isinstance(node.value, list):
            raise node.fail(f"services.{self.name}.build.{key} is a list")
        return tuple(item.text() for item in node.value)

    def _switch(self, key: str) -> bool | None:
        return entries.boolean(self._text(key)) or None if self._text(key) else None

    def _pairs(self, key: str) -> dict[str, Node]:
        node = self.build.get(key)
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            raise node.fail(f"services.{self.name}.build.{key} is a mapping or a list")
        found: dict[str, Node] = node.value
        return found

    def _texts(self, key: str) -> tuple[tuple[str, str], ...]:
        return tuple((name, node.text()) for name, node in self._pairs(key).items())

    def _args(self) -> tuple[tuple[str, str], ...]:
        """An argument without a value takes that of the service's environment, or of ours."""
        found = []
        environment: dict[str, str] | None = None
        for name, node in self._pairs("args").items():
            if node.value is not None:
                found.append((name, node.text()))
                continue
            if environment is None:
                environment = self._environment()
            value = environment.get(name)
            value = self.around.lookup(name) if value is None else value
            if value is not None:
                found.append((name, value))
        return tuple(found)

    def _environment(self) -> dict[str, str]:
        found: dict[str, str] = {}
        files = self.node.get("env_file")
        for item in (
            [] if files is None else files.value if isinstance(files.value, list) else [files]
        ):
            required, path = True, item
            if isinstance(item.value, dict):
                path = item.get("path") or item
                flag = item.get("required")
                required = flag is None or flag.value is not False
            text = self.around.read(path.text())
            if text is None and required:
                raise path.fail(f"services.{self.name}.env_file: there is no file {path.text()}")
            found.update(dotenv(text or "", self.around.lookup))
        node = self.node.get("environment")
        for name, value in (node.value if node and isinstance(node.value, dict) else {}).items():
            if value.value is not None:
                found[name] = value.text()
        return found

    def _contexts(self, key: str) -> tuple[tuple[str, str], ...]:
        return tuple((name, _context(node.text())) for name, node in self._pairs(key).items())

    def _secrets(self) -> tuple[Secret, ...]:
        node = self.build.get("secrets")
        found = []
        for item in node.value if node and isinstance(node.value, list) else []:
            source = item.get("source") if isinstance(item.value, dict) else item
            name = source.text() if source else ""
            declared = self.model.secrets.get(name)
            if declared is None:
                raise item.fail(f'service "{self.name}" refers to undefined build secret {name}')
            external = declared.get("external")
            if external is not None and external.value:
                raise declared.fail(f"unsupported external secret {name}")
            file, variable = declared.get("file"), declared.get("environment")
            path = _path(file.text()) if file else ""
            found.append(Secret(name, path, variable.text() if variable else ""))
        return entries.latest(found, lambda secret: secret.id)

    def _ssh(self) -> tuple[Ssh, ...]:
        found = []
        for name, node in self._pairs("ssh").items():
            path = node.text()
            found.append(Ssh(name, (path,) if path else ()))
        return tuple(sorted(found, key=lambda ssh: (ssh.id, ssh.paths)))

    def _shm_size(self) -> str | None:
        word = self._text("shm_size")
        if not word:
            return None
        match = _SIZE.fullmatch(word)
        if match is None:
            raise Fault(f"shm_size: invalid size: '{word}'")
        size = float(match[1]) * 1024 ** " kmgtp".index(match[2].lower() or " ")
        return _bytes(size) if size else None

    def _ulimits(self) -> tuple[str, ...]:
        found = []
        for name, node in self._pairs("ulimits").items():
            soft = hard = node
            if isinstance(node.value, dict):
                soft, hard = node.get("soft") or node, node.get("hard") or node
            found.append(f"{name}={soft.text()}:{hard.text()}")
        return tuple(found)

    def _extra_hosts(self) -> tuple[tuple[str, str], ...]:
        found = []
        for name, node in self._pairs("extra_hosts").items():
            parts = node.value if isinstance(node.value, list) else [node]
            found.append((name, ",".join(part.text().strip("[]") for part in parts)))
        return tuple(found)

    def _attest(self) -> tuple[Entry, ...]:
        found = []
        for kind in ("sbom", "provenance"):
            word = self._text(kind)
            if word:
                found.append(entries.attestation(entries.canonical_attestation(kind, word)))
        return tuple(found)


def _extended(target: Target, node: Node) -> Target:
    """With what `x-bake` adds."""
    if not isinstance(node.value, dict):
        raise node.fail("x-bake is a mapping")
    for key, value in node.value.items():
        if key not in _X_BAKE:
            raise value.fail(f"x-bake: unknown key {key}; known are {', '.join(_X_BAKE)}")

    def words(key: str) -> tuple[str, ...]:
        item = node.get(key)
        if item is None or item.value is None:
            return ()
        if isinstance(item.value, list):
            return tuple(part.text() for part in item.value)
        return tuple(item.text().split())

    def switch(key: str, before: bool | None) -> bool | None:
        item = node.get(key)
        return before if item is None else entries.boolean(item.text())

    def joined(before: tuple[str, ...] | None, key: str) -> tuple[str, ...] | None:
        return tuple(dict.fromkeys((before or ()) + words(key))) or before

    contexts = node.get("contexts")
    extra = contexts.value if contexts and isinstance(contexts.value, dict) else {}
    added = {name: _context(item.text()) for name, item in extra.items()}
    secrets = (target.secret or ()) + tuple(map(entries.secret, words("secret")))
    ssh = (target.ssh or ()) + tuple(map(entries.ssh, words("ssh")))
    caches = {
        key: entries.without_repeats(
            (getattr(target, key) or ()) + entries.caches(words(key.replace("_", "-")))
        )
        for key in ("cache_from", "cache_to")
    }
    outputs = (target.output or ()) + tuple(map(entries.output, words("output")))
    return target.replace(
        tags=joined(target.tags, "tags"),
        platforms=joined(target.platforms, "platforms"),
        no_cache_filter=joined(target.no_cache_filter, "no-cache-filter"),
        contexts=tuple({**added, **dict(target.contexts)}.items()),
        secret=entries.latest(secrets, lambda s: s.id) or None,
        ssh=tuple(sorted(entries.latest(ssh, lambda s: s.id), key=lambda s: (s.id, s.paths)))
        or None,
        cache_from=caches["cache_from"] or None,
        cache_to=caches["cache_to"] or None,
        output=entries.without_repeats(outputs) or None,
        pull=switch("pull", target.pull),
        no_cache=switch("no-cache", target.no_cache),
    )


def _context(word: str) -> str:
    """A named context: a service is a target, a path is cleaned."""
    kind, colon, rest = word.partition(":")
    if colon and kind in ("service", "target"):
        return "target:" + rest.replace(".", "_")
    return word if colon else _path(word)


def _path(word: str) -> str:
    if "://" in word or word.startswith("git@") or not word:
        return word
    return posixpath.normpath(word)


def _bytes(size: float) -> str:
    """units.BytesSize: four significant digits."""
    units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    at = 0
    while size >= 1024 and at < len(units) - 1:
        size, at = size / 1024, at + 1
    return f"{size:.4g}{units[at]}"
