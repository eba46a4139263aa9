"""From the words of the command line to the targets that are built, each complete."""

from __future__ import annotations

from kobako.bake import inputs, overrides, targets
from kobako.bake.entries import Entry
from kobako.bake.targets import Config, Group, Target, merged
from kobako.errors import Invalid, NotFound
from kobako.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.overrides import Override


_EPOCH = "SOURCE_DATE_EPOCH"


class Selection(Record):
    """`targets` are those asked for and those they are linked to, sorted by name; `groups` those
    of the words."""

    groups: tuple[Group, ...]
    targets: tuple[Target, ...]


def select(
    config: Config, words: list[str], said: list[Override], epoch: str = "", base: str = ""
) -> Selection:
    """The targets the words name: targets, groups, patterns. `default` when there are none.

    `epoch` is the SOURCE_DATE_EPOCH of targets that name none among their arguments. `base` is the
    URL the files were fetched from.
    """
    names = [n for word in words or ["default"] for n in _expanded(config, word.replace(".", "_"))]
    names = list(dict.fromkeys(names))
    resolver = _Resolver(config, overrides.for_targets(said, [t.name for t in config.targets]))
    found: dict[str, Target] = {}
    groups: dict[str, Group] = {}
    for name in names:
        wanted, through = _members(config, name)
        for member in wanted:
            found[member] = resolver.resolve(member)
        for group in through:
            known = config.group(group)
            assert known is not None
            groups.setdefault(group, known)
    _default_group(names, groups)
    for name in list(found):
        _link(resolver, found, name, ())
    ordered = tuple(_finished(found[name], epoch, base) for name in sorted(found))
    return Selection(tuple(groups[name] for name in sorted(groups)), ordered)


def _finished(target: Target, epoch: str, base: str) -> Target:
    found = inputs.cleaned(inputs.placed(target, base) if base else target)
    if epoch and _EPOCH not in dict(found.args):
        return found.replace(args=(*found.args, (_EPOCH, epoch)))
    return found


def _expanded(config: Config, word: str) -> list[str]:
    if not set(word) & set("*?[]"):
        return [word]
    known = [*(g.name for g in config.groups), *(t.name for t in config.targets)]
    found = [name for name in known if overrides.matches(word, name)]
    if not found:
        raise NotFound(f'could not find any target matching "{word}"')
    return found


def _members(config: Config, name: str) -> tuple[list[str], list[str]]:
    """(targets, groups) of a name, groups within groups included."""
    wanted: dict[str, None] = {}
    through: dict[str, None] = {}

    def visit(at: str) -> None:
        group = config.group(at)
        if group is None:
            wanted.setdefault(at)
        elif at not in through:
            through.setdefault(at)
            for member in group.targets:
                visit(member)

    visit(name)
    return list(wanted), list(through)


def _default_group(names: list[str], groups: dict[str, Group]) -> None:
    """What was asked for is the group `default` of the result, as buildx prints it."""
    held = groups.get("default")
    members = list(held.targets) if held else []
    members += [name for name in names if not (name == "default" and "default" in groups)]
    description = held.description if held else ""
    said = bool(members) or held is None or held.said
    targets = tuple(sorted(dict.fromkeys(members)))
    groups["default"] = Group("default", targets, description, said)


class _Resolver:
    def __init__(self, config: Config, said: dict[str, list[Override]]) -> None:
        self.config = config
        self.said = said

    def resolve(self, name: str) -> Target:
        """A target with all it inherits, defaults filled in."""
        found = self._target(name, {}, "")
        assert found is not None
        return found.replace(
            inherits=(),
            context="." if found.context is None else found.context,
            dockerfile=found.dockerfile or "Dockerfile",
        )

    def _target(self, name: str, visited: dict[str, Target | None], by: str) -> Target | None:
        if name in visited:
            return visited[name]
        visited[name] = None
        own = self.config.target(name)
        if own is None:
            reason = f" (inherited by {by})" if by else ""
            hint = "`kobako bake --list=targets` shows what there is."
            raise NotFound(f"failed to find target {name}{reason}", hint=hint)
        base = Target(name)
        for parent in own.inherits:
            inherited = self._target(parent, visited, name)
            if inherited is not None:
                base = merged(base, inherited)
        found = overrides.apply(merged(base, own), self.said.get(name, []))
        visited[name] = targets.normalized(found).replace(name=name)
        return visited[name]


def _link(
    resolver: _Resolver, found: dict[str, Target], name: str, visited: tuple[str, ...]
) -> None:
    """Adds the targets that `target:` contexts need, and passes on what they are entitled to."""
    visited = (*visited, name)
    for _, value in found[name].contexts:
        if not value.startswith("target:"):
            continue
        other = value.removeprefix("target:")
        if other == name:
            raise Invalid(f"target {other} cannot link to itself")
        if other in visited:
            raise Invalid(f"infinite loop from {name} to {other}")
        if other not in found:
            linked = resolver.resolve(other)
            found[other] = linked.replace(output=(Entry("cacheonly"),), linked=True)
        _link(resolver, found, other, visited)
        needed = (found[name].entitlements or ()) + (found[other].entitlements or ())
        found[name] = found[name].replace(entitlements=targets.unique(needed))
        _check_platforms(found[name], found[other])


def _check_platforms(target: Target, other: Target) -> None:
    wanted, there = target.platforms or (), other.platforms or ()
    if len(wanted) > 1 and len(there) > 1 and not set(wanted) <= set(there):
        raise Invalid(
            f"target {other.name} can't be used by {target.name} because its platforms "
            f"{', '.join(there)} do not include all of {', '.join(wanted)}"
        )
