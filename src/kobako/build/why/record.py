"""What the steps of a build were made of, kept for the next one."""

from __future__ import annotations

from kobako.build.cache import cache_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from kobako.build.cache import Cache
    from kobako.build.context import Context
    from kobako.build.graph import Vertex
    from kobako.build.ops.result import Result
    from kobako.build.options import BuildOptions
    from kobako.build.plan import Plan, Step

_SECRET = ("token", "passw", "secret", "credential", "apikey", "api_key", "auth")


def place(options: BuildOptions, context: Context) -> str:
    """The key of what is kept: of builds of the same file, context, target and platform."""
    return cache_key(
        "why", context.root, options.dockerfile_name, options.target, str(options.platform)
    )


def keep(
    cache: Cache,
    where: str,
    plan: Plan,
    results: Mapping[Vertex[Result], Result],
    failed: Collection[Vertex[Result]] = (),
) -> None:
    """Keeps the parts of every step that came so far; those that did not stay as they were."""
    earlier = cache.get(where) or {}
    stages: dict[str, list[dict[str, Any]]] = {}
    complete = True
    for step in explained(plan):
        known = parts_of(step, results)
        if known is None:
            complete = False
            continue
        entry: dict[str, Any] = {"text": step.text, "parts": known}
        if step.vertex in failed:
            entry["failed"] = True
        stages.setdefault(stage_name(plan, step), []).append(entry)
    if not complete:
        for name, steps in earlier.get("stages", {}).items():
            stages[name] = stages.get(name, []) + steps[len(stages.get(name, [])) :]
    target = results.get(plan.target.vertex)
    cache.put(where, {"stages": stages, "lineage": target.lineage if target else ""})


def explained(plan: Plan) -> list[Step]:
    """The steps that can be asked why they ran: each vertex once, in the order of the file."""
    seen: dict[Vertex[Result], Step] = {}
    for step in plan.steps:
        if step.vertex in plan.shown and hasattr(step.vertex.op, "parts"):
            seen.setdefault(step.vertex, step)
    return list(seen.values())


def stage_name(plan: Plan, step: Step) -> str:
    return plan.shown[step.vertex] or str(step.stage)


def parts_of(step: Step, results: Mapping[Vertex[Result], Result]) -> dict[str, Any] | None:
    """The named parts of a step's key; None while what it needs has no result."""
    vertex = step.vertex
    if any(needed not in results for needed in vertex.inputs):
        return None
    inputs = tuple(results[needed] for needed in vertex.inputs)
    found: dict[str, Any] = vertex.op.parts(inputs)  # type: ignore[attr-defined]  # `explained` chose those that have it
    found["below"] = "".join(inputs[0].chain)
    found["sources"] = [
        [needed.name, "".join(source.chain)]
        for needed, source in zip(vertex.inputs[1:], inputs[1:], strict=True)
    ]
    root = step
    while root.below is not None:
        root = root.below
    found["base"] = root.base.name if root.base is not None else "scratch"
    found["environment"] = {
        name: value if not _is_secret(name) else "sha256:" + cache_key(value)
        for name, value in found.get("environment", {}).items()
    }
    plain: dict[str, Any] = _plain(found)
    return plain


def _plain(value: Any) -> Any:
    """As it comes back from the cache: lists for tuples."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def _is_secret(name: str) -> bool:
    low = name.lower()
    return any(part in low for part in _SECRET)
