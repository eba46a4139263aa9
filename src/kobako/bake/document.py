"""`--print` and `--list`: targets as JSON, key by key as buildx writes it."""

from __future__ import annotations

from kobako.bake import attributes, values
from kobako.bake.entries import Entry, Secret, Ssh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.selection import Selection
    from kobako.bake.targets import Config, Group, Target

_ORDER = (
    "description annotations attest context contexts dockerfile dockerfile-inline args labels "
    "tags cache-from cache-to target secret ssh platforms output pull no-cache network "
    "no-cache-filter shm-size ulimits resources call entitlements extra-hosts policy".split()
)
_ESCAPED = ("annotations", "dockerfile-inline", "labels", "args", "extra-hosts")


def printed(selection: Selection) -> str:
    """What `bake --print` says."""
    document: dict[str, object] = {}
    if selection.groups:
        document["group"] = groups(selection.groups)
    document["target"] = {target.name: target_document(target) for target in selection.targets}
    return indented(document)


def groups(held: tuple[Group, ...]) -> dict[str, object]:
    found: dict[str, object] = {}
    for group in sorted(held, key=lambda g: g.name):
        about = {"description": group.description} if group.description else {}
        targets = list(group.targets) if group.said else None
        found[group.name] = {**about, "targets": targets}
    return found


def target_document(target: Target) -> dict[str, object]:
    """One target as a document; what is empty is left out."""
    found: dict[str, object] = {}
    for name in _ORDER:
        held = getattr(target, attributes.field(name))
        if held is None or held == () or (name == "description" and not held):
            continue
        found[name] = _shown(name, held)
    return found


def _shown(name: str, held: object) -> object:
    if name == "resources":
        pairs: tuple[tuple[str, str], ...] = held  # type: ignore[assignment]  # by its name
        return {k: int(v) if attributes.numeric_resource(k) else v for k, v in pairs}
    if isinstance(held, str):
        return _escaped(held) if name in _ESCAPED else held
    if not isinstance(held, tuple):
        return held
    if name in ("args", "labels", "contexts", "extra-hosts"):
        return {k: _escaped(v) if name in _ESCAPED else v for k, v in sorted(held)}
    return [_entry(name, item) for item in held]


def _entry(name: str, item: object) -> object:
    if isinstance(item, Secret):
        pairs = (("id", item.id), ("src", item.src), ("env", item.env))
        return {key: value for key, value in pairs if value}
    if isinstance(item, Ssh):
        known: dict[str, object] = {"id": item.id} if item.id else {}
        return {**known, "paths": list(item.paths)} if item.paths else known
    if isinstance(item, Entry):
        found: dict[str, object] = dict(item.attributes)
        if name != "policy":
            found["type"] = item.type
        if name == "attest" and "disabled" in found:
            found["disabled"] = True
        return dict(sorted(found.items()))
    assert isinstance(item, str)
    return _escaped(item) if name in _ESCAPED else item


def _escaped(word: str) -> str:
    return word.replace("${", "$${").replace("%{", "%%{")


def indented(value: object, lead: str = "") -> str:
    """JSON as Go's MarshalIndent lays it out, two spaces a level."""
    inner = lead + "  "
    if isinstance(value, dict):
        if not value:
            return "{}"
        lines = [f"{inner}{values.quoted(k)}: {indented(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{lead}}}"
    if isinstance(value, list):
        if not value:
            return "[]"
        return "[\n" + ",\n".join(inner + indented(v, inner) for v in value) + f"\n{lead}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return values.quoted(value) if isinstance(value, str) else str(value)


def target_list(config: Config) -> list[tuple[str, str, bool]]:
    """(name, description, whether a group) of everything not private, sorted."""
    found = [(t.name, t.description, False) for t in config.targets]
    for group in config.groups:
        members = ", ".join(sorted(group.targets))
        text = f"{group.description} ({members})" if group.description and members else ""
        found.append((group.name, text or group.description or members, True))
    return sorted((row for row in found if not row[0].startswith("_")), key=lambda row: row[0])
