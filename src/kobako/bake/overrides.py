"""`--set target.key=value`: what the command line says instead of the files."""

from __future__ import annotations

from kobako.bake import attributes, entries, values
from kobako.bake.entries import Entry
from kobako.bake.source import Fault
from kobako.bake.targets import Target
from kobako.errors import Invalid
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kobako.bake.values import Value
    from kobako.bake.variables import Lookup

_LISTS = (
    "output cache-to cache-from tags platform secrets ssh attest entitlements annotations policy "
    "no-cache-filter ulimits".split()
)
_NAMED = ("args", "contexts", "labels", "extra-hosts", "resources", "secret")
_TEXTS = ("context", "dockerfile", "target", "call", "shm-size", "network")
_SWITCHES = ("no-cache", "pull", "push", "load")


class Override(Record):
    """One `--set`: `key` is `tags` or `args`, `name` what follows `args.`, `append` a `+=`."""

    pattern: str
    key: str
    name: str
    value: str
    append: bool
    said: str


def parse(said: list[str], lookup: Lookup) -> list[Override]:
    """The overrides of the command line; `args.NAME` alone takes the environment's value."""
    found = []
    for word in said:
        left, equals, value = word.partition("=")
        append = left.endswith("+")
        left = left.removesuffix("+")
        pattern, dot, rest = left.partition(".")
        if not dot:
            raise Invalid(f"invalid override key {left}, expected target.name")
        key, _, name = rest.partition(".")
        if key not in (*_LISTS, *_NAMED, *_TEXTS, *_SWITCHES):
            raise Invalid(f"--set {word}: unknown key: {key}")
        if key in _NAMED and not name:
            raise Invalid(f"invalid key {left}, {key} requires name")
        if append and key not in _LISTS:
            raise Invalid(f"--set {word}: {key} does not support append")
        if name and key not in _NAMED:
            raise Invalid(f"--set {word}: {key} takes no name")
        if not equals:
            if key != "args":
                raise Invalid(f"invalid override {word}, expected target.name=value")
            known = lookup(name)
            if known is None:
                continue
            value = known
        found.append(Override(pattern, key, name, value, append, word))
    return found


def for_targets(found: list[Override], names: list[str]) -> dict[str, list[Override]]:
    """The overrides of each target; one that fits none is an error."""
    by_name: dict[str, list[Override]] = {}
    for override in found:
        if override.pattern in names:
            fitting = [override.pattern]
        else:
            fitting = [name for name in names if matches(override.pattern, name)]
        if not fitting:
            raise Invalid(
                f"--set {override.said}: could not find any target matching '{override.pattern}'"
            )
        for name in fitting:
            by_name.setdefault(name, []).append(override)
    return by_name


def matches(pattern: str, name: str) -> bool:
    """Go's path.Match, for names without slashes."""
    import fnmatch
    import re

    wild = re.sub(r"\[\^", "[!", pattern)
    return "/" not in name and fnmatch.fnmatchcase(name, wild)


def apply(target: Target, found: list[Override]) -> Target:
    """The target as overridden. Lists said several times are one list."""
    replaced: set[str] = set()
    for override in found:
        first = override.key not in replaced
        replaced.add(override.key)
        try:
            target = _apply(target, override, keep=override.append or not first)
        except Fault as fault:
            raise Invalid(f"--set {override.said}: {fault.message}") from None
    return target


def _apply(target: Target, override: Override, *, keep: bool) -> Target:
    key, value = override.key, override.value
    if key in _TEXTS:
        return target.replace(**{attributes.field(key): value})
    if key in ("args", "contexts", "labels", "extra-hosts"):
        return _pair(target, attributes.field(key), override.name, value)
    if key == "resources":
        word = attributes.resource(override.name, value)
        return _pair(target, "resources", override.name, word)
    if key == "secret":
        return _one_secret(target, override.name, value)
    if key in ("no-cache", "pull"):
        return target.replace(**{attributes.field(key): entries.boolean(value)})
    if key == "push":
        return target.replace(output=_push(target.output or (), entries.boolean(value)))
    if key == "load":
        if not entries.boolean(value):
            return target
        return target.replace(output=_load(target.output or ()))
    if key in _ADDED:
        keep = True
    return _list(target, key, value, keep=keep)


_ADDED = ("entitlements", "annotations", "attest")
"""These are always added to what the target has."""

_PARSED: dict[str, tuple[str, Callable[[str], object]]] = {
    "output": ("output", entries.output),
    "secrets": ("secret", entries.secret),
    "ssh": ("ssh", entries.ssh),
    "attest": ("attest", entries.attestation),
}


def _list(target: Target, key: str, value: str, *, keep: bool) -> Target:
    name, items = attributes.field(key), (value,)
    new: tuple[object, ...] = items
    if key in _PARSED:
        name, read = _PARSED[key]
        new = (read(value),) if value else ()
    elif key in ("cache-from", "cache-to"):
        new = entries.caches([value])
    elif key == "platform":
        name = "platforms"
    elif key == "policy":
        new = entries.decode_list(_words(value), "policy")
    before = getattr(target, name) or ()
    return target.replace(**{name: (before if keep else ()) + new})


def _words(value: str) -> Value:
    return values.list_of(values.STRING, [values.text(value)])


def _pair(target: Target, name: str, key: str, value: str) -> Target:
    return target.replace(**{name: tuple({**dict(getattr(target, name)), key: value}.items())})


def _one_secret(target: Target, known: str, value: str) -> Target:
    """Another source for a secret the target declares."""
    found = entries.secret(value)
    if found.id not in ("", known):
        raise Fault(f'secret override id "{found.id}" does not match declared secret "{known}"')
    held = target.secret or ()
    if known not in [item.id for item in held]:
        raise Fault(f'secret "{known}" must be declared before it can be overridden')
    return target.replace(
        secret=tuple(found.replace(id=known) if item.id == known else item for item in held)
    )


def _push(outputs: tuple[Entry, ...], push: bool) -> tuple[Entry, ...]:
    """`--push` makes images be pushed, and adds one where nothing else is made."""
    if not push:
        kept = [o for o in outputs if o.type != "registry"]
        return tuple(o.set("push", "false") if o.type == "image" else o for o in kept)
    alone = all(o.type == "docker" for o in outputs)
    shown = tuple(o.set("push", "true") if o.type == "image" else o for o in outputs)
    return (*shown, Entry("image", (("push", "true"),))) if alone else shown


def _load(outputs: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """`--load` adds a `docker` output unless there is one, or files are what is wanted."""
    for output in outputs:
        if output.type == "docker" and not output.get("dest"):
            return outputs
        if output.type not in ("docker", "image", "registry", "oci"):
            return outputs
    return (*outputs, Entry("docker"))
