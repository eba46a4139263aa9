"""One sentence for each step that ran: what is different from the last build."""

from __future__ import annotations

from kobako.build.why.record import explained, parts_of, stage_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kobako.build.cache import Cache
    from kobako.build.graph import Vertex
    from kobako.build.ops.result import Result
    from kobako.build.plan import Plan, Step

_LONGEST = 60
_OTHERS = {
    "user": "USER",
    "directory": "WORKDIR",
    "network": "--network",
    "security": "--security",
    "hosts": "--add-host",
    "shm-size": "--shm-size",
    "ulimits": "--ulimit",
    "hostname": "the host name",
    "epoch": "SOURCE_DATE_EPOCH",
    "platform": "the platform",
}


class Reasons:
    """Knows the last build of a plan's target as it was before this one began."""

    def __init__(self, cache: Cache, where: str, plan: Plan) -> None:
        self._cache = cache
        self._plan = plan
        document = cache.get(where)
        self._known = document is not None
        self._earlier = _matched(plan, document["stages"] if document else {})

    def why(self, vertex: Vertex[Result], results: Mapping[Vertex[Result], Result]) -> str:
        """Why a vertex is carried out: `src/app.py changed`; "" when it has no step."""
        step = next((s for s in explained(self._plan) if s.vertex is vertex), None)
        if step is None:
            return ""
        if vertex.fresh:
            return "the cache is not to be used for it"
        if not self._known:
            return "no earlier build is known"
        earlier = self._earlier.get(vertex)
        if earlier is None:
            return "the instruction is new"
        if earlier["text"] != step.text:
            return f"the instruction changed, it was: {_short(earlier['text'])}"
        return self._compared(step, earlier, parts_of(step, results) or {})

    def _compared(self, step: Step, earlier: dict[str, Any], now: dict[str, Any]) -> str:
        before = earlier["parts"]
        found = _variables(before, now) or self._files(step, before, now) or _own(before, now)
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            return found[0] + more
        for (_, was), (name, chain) in zip(
            before.get("sources", ()), now.get("sources", ()), strict=False
        ):
            if was != chain:
                return f"what it takes files from changed: {name}"
        if before.get("below") != now.get("below"):
            if before.get("base") != now.get("base"):
                return f"the base image changed: {before.get('base')} -> {now.get('base')}"
            return "the step before it ran"
        if earlier.get("failed"):
            return "it failed the last time"
        return "its result is no longer in the cache"

    def _files(self, step: Step, before: dict[str, Any], now: dict[str, Any]) -> list[str]:
        """What changed among the files of the context."""
        found: list[str] = []
        olds, news = before.get("files", {}), now.get("files", {})
        for where, digest in news.items():
            was = olds.get(where)
            if was is None or was == digest:
                continue
            op: Any = step.vertex.op
            pair = op.listings(where)
            if pair is not None and pair[0].digest == was:
                found += pair[1].changes_since(pair[0])
            else:
                found.append("files it takes changed")
        return found


def _matched(
    plan: Plan, stages: dict[str, list[dict[str, Any]]]
) -> dict[Vertex[Result], dict[str, Any]]:
    """Each step with what it was the last time: the same text, or, of what is left, the one in its
    place with the same keyword."""
    found: dict[Vertex[Result], dict[str, Any]] = {}
    ahead: dict[str, int] = {}
    steps = explained(plan)
    texts: dict[str, set[str]] = {}
    for step in steps:
        texts.setdefault(stage_name(plan, step), set()).add(step.text)
    for step in steps:
        name = stage_name(plan, step)
        old, at = stages.get(name, []), ahead.get(name, 0)
        same = next((n for n in range(at, len(old)) if old[n]["text"] == step.text), None)
        if (
            same is None
            and at < len(old)
            and old[at]["text"] not in texts[name]
            and _keyword(old[at]["text"]) == _keyword(step.text)
        ):
            same = at
        if same is not None:
            found[step.vertex] = old[same]
            ahead[name] = same + 1
    return found


def _variables(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """`ARG VERSION changed: 1 -> 2`."""
    old, new = before.get("environment", {}), now.get("environment", {})
    arguments = {*before.get("arguments", ()), *now.get("arguments", ())}
    found = []
    for name in (*new, *(n for n in old if n not in new)):
        kind = "ARG" if name in arguments else "ENV"
        if name not in new:
            found.append(f"{kind} {name} is gone")
        elif name not in old:
            found.append(f"{kind} {name} is new")
        elif old[name] != new[name]:
            hidden = str(new[name]).startswith("sha256:")
            shown = "" if hidden else f": {_short(old[name])} -> {_short(new[name])}"
            found.append(f"{kind} {name} changed{shown}")
    return found


def _own(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What else of the step itself is another."""
    found = []
    for part, shown in _OTHERS.items():
        if before.get(part) != now.get(part):
            found.append(f"{shown} changed: {_short(before.get(part))} -> {_short(now.get(part))}")
    if before.get("command") != now.get("command"):
        old, new = _short(before.get("command")), _short(now.get("command"))
        found.append(f"what its variables stand for changed: {old} -> {new}")
    if before.get("mounts") != now.get("mounts"):
        found.append("its mounts changed")
    if before.get("remotes") != now.get("remotes"):
        found.append("what it downloads changed")
    if before.get("contents") != now.get("contents"):
        found.append("its here-document changed")
    return found


def _keyword(text: str) -> str:
    return text.split(None, 1)[0].upper()


def _short(value: object) -> str:
    if isinstance(value, (list, tuple)):
        value = " ".join(map(str, value))
    text = " ".join(str(value).split())
    if not text:
        return "none"
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
