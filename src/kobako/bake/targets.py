"""Targets and groups, and how one definition is laid over another."""

from __future__ import annotations

from kobako.bake import entries
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.entries import Entry, Secret, Ssh

    Pairs = tuple[tuple[str, str], ...]
    Words = tuple[str, ...]


class Group(Record):
    """`said` is false where no file has a list: compose services with nothing to build."""

    name: str
    targets: tuple[str, ...]
    description: str = ""
    said: bool = True


class Target(Record):
    """One build. None is "not said"; an empty tuple was said, and hides what is inherited.

    Pairs are in the order given. A null among `args`, `labels` and `extra_hosts` was left out when
    the file was read: it means "as without this line".
    """

    name: str
    description: str = ""
    inherits: Words = ()
    annotations: Words | None = None
    attest: tuple[Entry, ...] | None = None
    context: str | None = None
    contexts: Pairs = ()
    dockerfile: str | None = None
    dockerfile_inline: str | None = None
    args: Pairs = ()
    labels: Pairs = ()
    tags: Words | None = None
    cache_from: tuple[Entry, ...] | None = None
    cache_to: tuple[Entry, ...] | None = None
    target: str | None = None
    secret: tuple[Secret, ...] | None = None
    ssh: tuple[Ssh, ...] | None = None
    platforms: Words | None = None
    output: tuple[Entry, ...] | None = None
    pull: bool | None = None
    no_cache: bool | None = None
    network: str | None = None
    no_cache_filter: Words | None = None
    shm_size: str | None = None
    ulimits: Words | None = None
    resources: Pairs = ()
    call: str | None = None
    entitlements: Words | None = None
    extra_hosts: Pairs = ()
    policy: tuple[Entry, ...] | None = None
    linked: bool = False
    """Nobody asked for it: it is only built because another target's context is it."""


class Config(Record):
    """All that bake files define. `warnings` are for the person."""

    groups: tuple[Group, ...] = ()
    targets: tuple[Target, ...] = ()
    warnings: tuple[str, ...] = ()

    def target(self, name: str) -> Target | None:
        return next((t for t in self.targets if t.name == name), None)

    def group(self, name: str) -> Group | None:
        return next((g for g in self.groups if g.name == name), None)


_LATER = (
    "context dockerfile dockerfile_inline tags target platforms cache_to output pull no_cache "
    "network shm_size call".split()
)
"""What a later definition says counts alone."""
_MAPS = ("args", "contexts", "labels", "extra_hosts", "resources")
_LISTS = ("annotations", "no_cache_filter", "ulimits", "entitlements", "policy")


def merged(first: Target, second: Target) -> Target:
    """`first` with what `second` says laid over it."""
    changes: dict[str, object] = {}
    for field in _LATER:
        if getattr(second, field) is not None:
            changes[field] = getattr(second, field)
    for field in _MAPS:
        if getattr(second, field):
            changes[field] = tuple(
                {**dict(getattr(first, field)), **dict(getattr(second, field))}.items()
            )
    for field in _LISTS:
        if getattr(second, field) is not None:
            changes[field] = (getattr(first, field) or ()) + getattr(second, field)
    for field in ("attest", "secret", "ssh", "cache_from"):
        if getattr(second, field) is not None:
            joined = (getattr(first, field) or ()) + getattr(second, field)
            changes[field] = _distinct(field, joined) or None
    if second.description:
        changes["description"] = second.description
    return first.replace(inherits=first.inherits + second.inherits, **changes)


def _distinct(field: str, items: tuple[object, ...]) -> tuple[object, ...]:
    if field == "attest":
        return entries.latest(items, lambda e: e.type)  # type: ignore[attr-defined]  # an Entry
    if field in ("secret", "ssh"):
        return entries.latest(items, lambda e: e.id)  # type: ignore[attr-defined]  # likewise
    return entries.without_repeats(items)


def normalized(target: Target) -> Target:
    """Repeats and empty words dropped, as a resolved target has them."""
    changes: dict[str, object] = {}
    for field in ("annotations", "tags", "platforms", "no_cache_filter", "ulimits"):
        held = getattr(target, field)
        changes[field] = None if held is None else unique(held)
    for field in ("attest", "secret", "ssh", "cache_from", "cache_to", "output"):
        changes[field] = _distinct(field, getattr(target, field) or ()) or None
    needed = target.entitlements or ()
    if target.network == "host":
        needed += ("network.host",)
    changes["entitlements"] = unique(needed) or None
    changes["contexts"] = tuple((k, v) for k, v in target.contexts if v)
    return target.replace(**changes)


def unique(words: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if word))
